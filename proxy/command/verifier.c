/* verifier: a password in, what the configuration may hold in its place out. The password comes on
 * stdin, never as an argument, where `ps` would show it; on a terminal it is asked for twice and
 * not echoed. */
#include "proxy/command/command.h"

#include "auth/digest.h"
#include "auth/md5.h"
#include "auth/scram.h"
#include "auth/users.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX_BYTES = 1024 };

/* One line, with room to see that it was too long. */
struct password {
    char bytes[PASSWORD_MAX_BYTES + 1];
    size_t len;
};

static struct slice password_slice(const struct password *p) { return slice_of(p->bytes, p->len); }

/* ---- reading ------------------------------------------------------------------------------ */

/* Byte by byte, so that nothing behind the line is taken from whoever reads stdin next. False: the
 * line is too long, or reading was interrupted. */
static bool read_line(struct password *p)
{
    p->len = 0;
    for (;;) {
        char c;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0) return false;
        if (got == 0 || c == '\n') break;
        if (p->len == sizeof p->bytes) return false;
        p->bytes[p->len++] = c;
    }
    if (p->len && p->bytes[p->len - 1] == '\r') p->len--;
    return p->len <= PASSWORD_MAX_BYTES;
}

/* Lets a signal interrupt read(), so that the echo comes back before the program goes. */
static void on_signal(int signal_number) { (void)signal_number; }

static bool ask(const char *prompt, struct password *p)
{
    fputs(prompt, stderr);
    bool was_read = read_line(p);
    fputs("\n", stderr);
    return was_read;
}

static const char *ask_on_terminal(struct password *p)
{
    struct termios shown, hidden;
    struct sigaction interrupted = { .sa_handler = on_signal }, before;
    struct password again = { .len = 0 };
    if (tcgetattr(STDIN_FILENO, &shown) != 0) return "cannot turn the terminal's echo off";
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    sigaction(SIGINT, &interrupted, &before);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    bool was_read = ask("Password: ", p) && ask("Again: ", &again);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    sigaction(SIGINT, &before, NULL);
    bool same = p->len == again.len && CRYPTO_memcmp(p->bytes, again.bytes, p->len) == 0;
    explicit_bzero(&again, sizeof again);
    if (!was_read) return errno == EINTR ? "interrupted" : "the password is too long";
    return same ? NULL : "the two passwords differ";
}

/* NULL, or why there is no password. */
static const char *read_password(struct password *p)
{
    const char *why = NULL;
    errno = 0;
    if (isatty(STDIN_FILENO))
        why = ask_on_terminal(p);
    else if (!read_line(p))
        why = errno ? "cannot read stdin" : "the password is too long";
    if (!why && p->len == 0) why = "the password is empty";
    if (!why && memchr(p->bytes, '\0', p->len)) why = "the password contains a NUL byte";
    return why;
}

/* ---- printing ----------------------------------------------------------------------------- */

/* Appends the verifier; false when it can not be made. */
static bool verifier_make(enum auth_method method, struct slice user, struct slice password,
                          struct buf *out)
{
    uint8_t salt[DIGEST_SALT_BYTES];
    struct scram_verifier scram;
    struct digest_verifier digest;
    struct md5_verifier md5;
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return false;
    switch (method) {
    case AUTH_SCRAM:
        if (!scram_verifier_make(&scram, password, slice_of(salt, SCRAM_SALT_BYTES),
                                 SCRAM_ITERATIONS))
            return false;
        scram_verifier_print(&scram, out);
        break;
    case AUTH_DIGEST:
        if (!digest_verifier_make(&digest, password, slice_of(salt, sizeof salt))) return false;
        digest_verifier_print(&digest, out);
        break;
    default:
        if (!md5_verifier_make(&md5, password, user)) return false;
        buf_add(out, md5.text, sizeof md5.text);
    }
    buf_add_u8(out, '\n');
    return !out->failed;
}

static bool has_verifier(enum auth_method method)
{
    return method == AUTH_SCRAM || method == AUTH_DIGEST || method == AUTH_MD5;
}

int command_verifier(int argc, char **argv)
{
    struct options_verifier options;
    int words = command_parse(argc, argv, &options, 1);
    if (words < 0) return STATUS_USAGE;
    if (!options.method) return command_misused(argv[0], "--method is missing");
    enum auth_method method = auth_method_of(slice_str(options.method));
    if (!has_verifier(method))
        return command_misused(argv[0], "no verifier for method \"%s\"", options.method);
    if (words == 0 || !*argv[1]) return command_misused(argv[0], "the user is missing");

    struct password password = { .len = 0 };
    struct buf out = { 0 };
    const char *why = read_password(&password);
    if (!why && !verifier_make(method, slice_str(argv[1]), password_slice(&password), &out))
        why = "the password cannot be hashed on this machine";
    explicit_bzero(&password, sizeof password);
    if (!why && (fwrite(out.at, 1, out.len, stdout) != out.len || fflush(stdout) != 0))
        why = "cannot write to stdout";
    buf_wipe(&out);
    if (why) fprintf(stderr, "sluice verifier: %s\n", why);
    return why ? STATUS_NOT_FINE : STATUS_FINE;
}
