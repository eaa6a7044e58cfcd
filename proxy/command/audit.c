/* audit: `sluice audit verify FILE...`: is the record as it was written? */
#include "proxy/command/command.h"

#include "proxy/ops/audit_chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Goes through one file. False: it was said what is wrong. */
static bool verify(const char *path, struct audit_walk *walk)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len = 0;
    bool ok = file != NULL;
    if (!ok) printf("%s: %s\n", path, strerror(errno));
    while (ok && (len = getline(&line, &room, file)) > 0) {
        number++;
        if (line[len - 1] != '\n') {
            printf("%s:%zu: broken here: the line was cut short\n", path, number);
            ok = false;
        } else if (!audit_walk_line(walk, slice_of(line, (size_t)len - 1))) {
            printf("%s:%zu: broken here: %s\n", path, number, walk->trouble);
            ok = false;
        }
    }
    if (ok && ferror(file)) {
        printf("%s: %s\n", path, strerror(errno));
        ok = false;
    }
    free(line);
    if (file) fclose(file);
    return ok;
}

int command_audit(int argc, char **argv)
{
    struct options_audit options;
    struct audit_walk walk = { 0 };
    const int words = command_parse(argc, argv, &options, argc);
    if (words < 0) return STATUS_USAGE;
    if (words < 1 || !slice_is(slice_str(argv[1]), "verify"))
        return command_misused(argv[0], "say verify");
    if (words < 2) return command_misused(argv[0], "name a file");
    for (int i = 2; i <= words; i++)
        if (!verify(argv[i], &walk)) return STATUS_NOT_FINE;
    char end[SHA256_HEX_BYTES];
    hex_encode(walk.chain.hash, sizeof walk.chain.hash, end);
    printf("unbroken: %llu records", (unsigned long long)walk.lines);
    if (walk.lost) printf(", %llu that could not be written", (unsigned long long)walk.lost);
    if (walk.lines)
        printf("; ends at sequence %llu, %.64s", (unsigned long long)walk.chain.sequence, end);
    printf("\n");
    return STATUS_FINE;
}
