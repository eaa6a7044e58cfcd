/* import: `sluice import pgbouncer.ini [--userlist FILE]`: the same as a configuration of Sluice,
 * on stdout. */
#include "proxy/command/command.h"

#include "proxy/command/pgbouncer_ini.h"

#include <errno.h>
#include <stdio.h>

enum { FILE_CAP_BYTES = 4 << 20 };

static bool read_all(const char *path, struct buf *out)
{
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    while (f && out->len < FILE_CAP_BYTES && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(out, part, n);
    bool ok = f && !ferror(f) && !out->failed;
    if (!ok) fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (f) fclose(f);
    return ok;
}

int command_import(int argc, char **argv)
{
    struct options_import options;
    struct buf ini = { .secret = true }, userlist = { .secret = true }, out = { 0 };
    int words = command_parse(argc, argv, &options, 1);
    if (words < 0) return STATUS_USAGE;
    if (words == 0) return command_misused(argv[0], "which pgbouncer.ini?");
    bool ok =
        read_all(argv[1], &ini) && (!options.userlist || read_all(options.userlist, &userlist));
    if (ok) pgbouncer_translate(buf_slice(&ini), buf_slice(&userlist), &out);
    buf_fini(&ini);
    buf_fini(&userlist);
    return ok ? command_print(&out) : STATUS_NOT_FINE;
}
