#include "proxy/command/command.h"

#include "protocol/nearest.h"

#include <stdio.h>

/* An option's row is found by its place in its struct, so a table has one row per member. */
/* clang-format off */
#define COMMAND(id, synopsis_, sentence_) static const struct option options_of_##id[] = {
#define OPTION(id, name_, argument_, sentence_) { #name_, argument_, sentence_ },
#define END(id) { NULL, NULL, NULL } };
#include "proxy/command/command.def"

#define COUNT_OF(id) (sizeof options_of_##id / sizeof *options_of_##id - 1)
#define COMMAND(id, synopsis_, sentence_) \
    { #id, synopsis_, sentence_, options_of_##id, COUNT_OF(id) },
const struct command commands[] = {
#include "proxy/command/command.def"
};
/* clang-format on */
const size_t n_commands = sizeof commands / sizeof *commands;

/* The parser treats an options struct as an array. */
#define COMMAND(id, synopsis_, sentence_)                                                          \
    _Static_assert(sizeof(struct options_##id) == COUNT_OF(id) * sizeof(const char *),             \
                   "options are pointers, nothing else");
#include "proxy/command/command.def"

/* "db-user" is the option of the member db_user, "iam-policy" the command of command_iam_policy. */
static bool is_spelled(struct slice given, const char *name)
{
    size_t i = 0;
    for (; i < given.len && name[i]; i++)
        if (given.at[i] != (name[i] == '_' ? '-' : name[i])) return false;
    return i == given.len && !name[i];
}

static const char *spelled(const char *name, char text[32])
{
    snprintf(text, 32, "%s", name);
    for (char *at = text; *at; at++)
        if (*at == '_') *at = '-';
    return text;
}

const struct command *command_find(struct slice name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (is_spelled(name, commands[i].name)) return &commands[i];
    return NULL;
}

int command_misused(const char *name, const char *format, ...)
{
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vaddf(&text, format, args);
    va_end(args);
    char text_of_name[32];
    name = spelled(name, text_of_name);
    const struct command *command = command_find(slice_str(name));
    fprintf(stderr, "sluice %s: %.*s\n", name, (int)text.len, text.at);
    if (command) fprintf(stderr, "usage: sluice %s %s\n", name, command->synopsis);
    buf_fini(&text);
    return STATUS_USAGE;
}

/* ---- parsing ---------------------------------------------------------------------------------*/

static int find_option(const struct command *command, struct slice name)
{
    struct nearest nearest = { .word = name };
    for (size_t i = 0; i < command->n_options; i++) {
        if (is_spelled(name, command->options[i].name)) return (int)i;
        nearest_offer(&nearest, slice_str(command->options[i].name));
    }
    if (nearest.best.len > 0)
        command_misused(command->name, "unknown option --%.*s; did you mean --%.*s?",
                        SLICE_ARG(name), SLICE_ARG(nearest.best));
    else
        command_misused(command->name, "unknown option --%.*s", SLICE_ARG(name));
    return -1;
}

/* The option at argv[*at]; steps over its argument. */
static bool take_option(const struct command *command, int argc, char **argv, int *at,
                        const char **values)
{
    const char *text = argv[*at] + 2;
    const char *equals = strchr(text, '=');
    struct slice name = equals ? slice_of(text, (size_t)(equals - text)) : slice_str(text);
    int i = find_option(command, name);
    if (i < 0) return false;
    const struct option *option = &command->options[i];
    const char *value = equals ? equals + 1 : "";
    if (!option->argument && equals) {
        command_misused(command->name, "--%.*s takes no argument", SLICE_ARG(name));
        return false;
    }
    if (option->argument && !equals) {
        if (*at + 1 == argc) {
            command_misused(command->name, "--%.*s needs a %s", SLICE_ARG(name), option->argument);
            return false;
        }
        value = argv[++*at];
    }
    if (values[i]) {
        command_misused(command->name, "--%.*s is given twice", SLICE_ARG(name));
        return false;
    }
    values[i] = value;
    return true;
}

int command_parse(int argc, char **argv, void *options, int max_words)
{
    const struct command *command = command_find(slice_str(argv[0]));
    if (!command) return -1;
    const char **values = options;
    int n_words = 0;
    bool only_words = false;
    for (size_t i = 0; i < command->n_options; i++) values[i] = NULL;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
            if (!take_option(command, argc, argv, &i, values)) return -1;
        } else if (n_words == max_words || (!only_words && argv[i][0] == '-' && argv[i][1])) {
            command_misused(command->name, "unexpected \"%s\"", argv[i]);
            return -1;
        } else {
            argv[1 + n_words++] = argv[i]; /* never ahead of i */
        }
    }
    return n_words;
}

/* ---- help ------------------------------------------------------------------------------------*/

enum { WIDTH = 80, NAME_WIDTH = 14 };

/* Fills lines up to WIDTH; all but the first are indented. */
static void add_wrapped(struct buf *out, const char *text, int indent)
{
    int at = indent;
    for (bool is_first = true; *text; is_first = false) {
        int n = (int)strcspn(text, " ");
        if (!is_first && at + 1 + n > WIDTH) {
            buf_addf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!is_first) {
            buf_add_u8(out, ' ');
            at++;
        }
        buf_addf(out, "%.*s", n, text);
        at += n;
        text += n;
        text += strspn(text, " ");
    }
    buf_add_u8(out, '\n');
}

/* Until the first full stop: the list of commands has one line for each. */
static int first_sentence(const char *text)
{
    const char *stop = strstr(text, ". ");
    return stop ? (int)(stop - text) + 1 : (int)strlen(text);
}

void command_usage(struct buf *out)
{
    buf_add_str(out, "Sluice " SLUICE_VERSION
                     ", a PostgreSQL-protocol proxy in front of Amazon Redshift.\n\n"
                     "usage: sluice COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < n_commands; i++) {
        struct buf sentence = { 0 };
        buf_addf(&sentence, "%.*s", first_sentence(commands[i].sentence), commands[i].sentence);
        buf_add_u8(&sentence, '\0');
        char name[32];
        buf_addf(out, "  %-*s", NAME_WIDTH - 2, spelled(commands[i].name, name));
        if (!sentence.failed) add_wrapped(out, sentence.at, NAME_WIDTH);
        buf_fini(&sentence);
    }
    buf_add_str(
        out,
        "\n`sluice COMMAND --help` tells more. Exit status: 0 fine, 1 what was asked about is\n"
        "not fine, 2 wrong usage.\n");
}

void command_help(const struct command *command, struct buf *out)
{
    char name_of_command[32];
    buf_addf(out, "usage: sluice %s %s\n\n", spelled(command->name, name_of_command),
             command->synopsis);
    add_wrapped(out, command->sentence, 0);
    if (command->n_options > 0) buf_add_u8(out, '\n');
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        struct buf name = { 0 };
        buf_addf(&name, "  --%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        for (uint32_t j = 4; j < name.len; j++)
            if (name.at[j] == '_') name.at[j] = '-';
        buf_addf(out, "%-20.*s  ", (int)name.len, name.at);
        buf_addf(out, "%s\n", option->sentence);
        buf_fini(&name);
    }
}

int command_print(struct buf *text)
{
    bool ok = !text->failed &&
              (text->len == 0 || fwrite(text->at, 1, text->len, stdout) == text->len) &&
              fflush(stdout) == 0;
    if (!ok) fprintf(stderr, "sluice: cannot write\n");
    buf_fini(text);
    return ok ? STATUS_FINE : STATUS_NOT_FINE;
}
