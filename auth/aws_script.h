/* aws_script: a procedure that needs the world, and stays pure.
 *
 * Finding credentials is a story with many chapters: read a file, ask a server,
 * wait, ask again. Told as a state machine it is unreadable; told as straight-line
 * code it would block. So it is told as straight-line code that runs *again from
 * its start* after each answer:
 *
 *      run 1:  read config? --------------------------------> pending: READ config
 *      run 2:  read config = "..."  ask STS? ----------------> pending: HTTP sts
 *      run 3:  read config = "..."  ask STS = 200 ...  done
 *
 * A question that has been answered is answered from the journal, in order; the
 * first that has not is put to whoever drives (proxy/), and the run ends there.
 * What makes this exact: a procedure's only inputs are its arguments, the answers,
 * and time and randomness as they were at each answer.
 *
 *      struct aws_ask *ask = aws_script_ask(s, AWS_ASK_READ);
 *      if (ask) buf_add_str(&ask->path, "/etc/x");       // asked for the first time: fill it in
 *      const struct aws_answer *a = aws_script_answer(s);
 *      if (!a) return AWS_PENDING;                       // come back when there is an answer
 *
 * Ownership: a script owns its journal; it may hold keys and is wiped by fini.
 */
#ifndef SLUICE_AUTH_AWS_SCRIPT_H
#define SLUICE_AUTH_AWS_SCRIPT_H

#include "auth/aws_http.h"
#include "protocol/map.h"

enum aws_ask_kind {
    AWS_ASK_HTTP,  /* send `request` */
    AWS_ASK_READ,  /* read the file `path`, at most 1 MiB */
    AWS_ASK_WRITE, /* replace the file `path` by `content`: temporary file, fsync, rename; 0600 */
    AWS_ASK_RUN,   /* run a command without a shell: `path` is its words, a NUL behind each; stdout
                      at most 64 KiB, 60 s */
    AWS_ASK_WAIT,  /* answer at `until_ms`, not before */
};

struct aws_ask {
    enum aws_ask_kind kind;
    struct aws_request request;
    struct buf path, content;
    int64_t until_ms;
};

enum aws_outcome {
    AWS_DONE_WELL,
    AWS_NOT_THERE,  /* READ: no such file; RUN: no such program */
    AWS_FORBIDDEN,  /* READ, WRITE, RUN: permission denied */
    AWS_DONE_BADLY, /* RUN: exit status is not 0, killed, or too slow; READ, WRITE: an I/O error,
                       or too large */
};

enum { AWS_ANSWER_MAX_HEADERS = 16, AWS_SCRIPT_MAX_ANSWERS = 96 };

struct aws_answer {
    enum aws_outcome outcome;     /* READ, WRITE, RUN */
    struct aws_response response; /* HTTP; its slices point into the answer */
    struct buf text;              /* READ: the file; RUN: standard output; HTTP: headers and body */
    struct sigv4_header headers[AWS_ANSWER_MAX_HEADERS];
    int64_t asked_ms, answered_ms;
};

struct aws_script;

/* `seed` is the script's only randomness: 16 random bytes, new for each script. */
struct aws_script *aws_script_new(int64_t now_ms, struct map_seed seed);
void aws_script_free(struct aws_script *s);

/* ---- for the procedure ------------------------------------------------------------------------
 */

/* Goes back to the start, before each run. */
void aws_script_rewind(struct aws_script *s);

/* Puts the next question: the ask to fill in when it is new, NULL when its answer is known (or
 * another one is still open). */
struct aws_ask *aws_script_ask(struct aws_script *s, enum aws_ask_kind kind);

/* The answer to the question just put, NULL: not yet. It lives as long as the script. */
const struct aws_answer *aws_script_answer(struct aws_script *s);

/* The time and a random number, as of the last answer that was taken. */
int64_t aws_script_now_ms(const struct aws_script *s);
uint32_t aws_script_random(const struct aws_script *s);

/* Gives up: there will be no answer that helps. */
void aws_script_fail(struct aws_script *s);

/* ---- for whoever drives -----------------------------------------------------------------------
 */

/* The open question; NULL: there is none. Valid until it is answered. */
const struct aws_ask *aws_script_pending(const struct aws_script *s);

/* True when memory ran out, a procedure asked too much, or asked otherwise than before. */
bool aws_script_failed(const struct aws_script *s);

/* Answers the open question; bytes are copied. */
void aws_script_answer_http(struct aws_script *s, const struct aws_response *r, int64_t now_ms);
void aws_script_answer_outcome(struct aws_script *s, enum aws_outcome outcome, struct slice text,
                               int64_t now_ms);

#endif
