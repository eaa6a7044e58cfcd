/* scratch: memory on the stack that is written before it is read.
 *
 * The build clears every local variable (-ftrivial-auto-var-init=zero). For a buffer of hundreds of
 * bytes on a path that runs for every statement that costs more than the work: `SCRATCH char
 * name[128];`
 */
#ifndef SLUICE_PROTOCOL_SCRATCH_H
#define SLUICE_PROTOCOL_SCRATCH_H

#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define SCRATCH __attribute__((uninitialized))
#endif
#endif
#ifndef SCRATCH
#define SCRATCH
#endif

#endif
