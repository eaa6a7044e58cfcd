/* verifier: `sluice verifier --method scram-sha-256|digest|md5 USER`.
 *
 * Reads a password, prints what the config may hold in its place. The password
 * comes on stdin, never as an argument, where `ps` would show it; on a terminal it
 * is asked for twice and not echoed.
 */
#ifndef SLUICE_PROXY_COMMAND_VERIFIER_H
#define SLUICE_PROXY_COMMAND_VERIFIER_H

/* argv[0] is "verifier". Returns the exit status: 0 printed, 1 no usable password, 2 wrong usage.
 */
int command_verifier(int argc, char **argv);

#endif
