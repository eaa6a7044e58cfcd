#include "protocol/sql_trail.h"

#include "protocol/sql_normal.h"
#include "protocol/sql_stmt.h"

enum {
    EXECUTES = 4,                /* how far names of prepared statements are followed */
    FOLLOWED = 16 * 1024 * 1024, /* bytes of them that are read for one message */
};

struct walk {
    struct sql_trail *trail;
    const struct sql_trail_session *session;
    enum sql_case letters;
    uint32_t executes;              /* how deep in prepared statements */
    size_t followed;                /* bytes of them */
    struct sql_trail_statement now; /* where objects are put */
};

/* ---- objects -------------------------------------------------------------------------------- */

static const struct sql_trail_object *object_at(const struct sql_trail *t, uint32_t i)
{
    return (const struct sql_trail_object *)(const void *)t->objects.at + i;
}

static bool is_there(const struct sql_trail *t, const struct sql_trail_statement *s,
                     enum sql_verb verb, struct slice name)
{
    for (uint32_t i = 0; i < s->objects; i++) {
        enum sql_verb known;
        if (slice_eq(sql_trail_object(t, s, i, &known), name) && known == verb) return true;
    }
    return false;
}

static void add_object(struct sql_trail *t, struct sql_trail_statement *s, enum sql_verb verb,
                       struct slice name)
{
    if (s->objects == SQL_TRAIL_OBJECTS) {
        s->objects_left_out++;
        return;
    }
    if (is_there(t, s, verb, name)) return;
    const struct sql_trail_object object = { verb, t->names.len, (uint32_t)name.len };
    buf_add_slice(&t->names, name);
    buf_add(&t->objects, &object, sizeof object);
    if (!t->names.failed && !t->objects.failed) s->objects++;
}

static void read_text(struct walk *w, struct slice text, enum sql_kind *kind);

/* What a prepared statement touches, the one who executes it touches. */
static void follow(struct walk *w, const struct sql_need *n)
{
    char name[SQL_NAME_BYTES + 1];
    struct slice text;
    enum sql_kind ignored;
    const size_t len = sql_name_part(&n->name, 0, SQL_CASE_KEEP, name, sizeof name);
    if (!w->session->prepared || len == 0 || w->executes == EXECUTES) return;
    if (!w->session->prepared(w->session->context, slice_of(name, len), &text)) return;
    if (text.len > FOLLOWED - w->followed) {
        w->now.objects_left_out++; /* some number: what it touches is not known */
        return;
    }
    w->followed += text.len;
    w->executes++;
    read_text(w, text, &ignored);
    w->executes--;
}

static bool note(void *context, const struct sql_need *n)
{
    struct walk *w = context;
    char name[SQL_TRAIL_NAME_BYTES];
    if (n->what == SQL_NEED_OBJECT) {
        sql_name_print(&n->name, w->letters, name, sizeof name);
        add_object(w->trail, &w->now, n->verb, slice_str(name));
    } else if (n->what == SQL_NEED_EXECUTE) {
        follow(w, n);
    }
    return true;
}

static void read_text(struct walk *w, struct slice text, enum sql_kind *kind)
{
    const struct sql_policy policy = { .context = w, .need = note, .letters = w->letters };
    struct sql_reading reading;
    sql_stmt_read(text, &policy, &reading);
    *kind = reading.kind;
}

/* ---- statements ----------------------------------------------------------------------------- */

static struct sql_trail_statement *last_of(struct sql_trail *t)
{
    return t->entries == 0
               ? NULL
               : (struct sql_trail_statement *)(void *)t->statements.at + (t->entries - 1);
}

static bool is_alike(const struct sql_trail *t, const struct sql_trail_statement *a,
                     const struct sql_trail_statement *b)
{
    bool same = !a->alone && !b->alone && a->kind == b->kind && a->fingerprint == b->fingerprint &&
                a->objects == b->objects && a->objects_left_out == b->objects_left_out;
    for (uint32_t i = 0; same && i < a->objects; i++) {
        enum sql_verb of_a, of_b;
        same = slice_eq(sql_trail_object(t, a, i, &of_a), sql_trail_object(t, b, i, &of_b)) &&
               of_a == of_b;
    }
    return same;
}

/* What was noted of `s`, behind those of all entries, is given up. */
static void forget_objects(struct sql_trail *t, const struct sql_trail_statement *s)
{
    if (s->objects > 0) buf_truncate(&t->names, object_at(t, s->object)->at);
    buf_truncate(&t->objects, s->object * (uint32_t)sizeof(struct sql_trail_object));
}

/* Into the last entry, which is for all that have none of their own. The objects of `s` stand right
 * behind those of `last`: what is new among them moves up. */
static void bundle(struct sql_trail *t, struct sql_trail_statement *last,
                   const struct sql_trail_statement *s)
{
    struct sql_trail_object *objects = (struct sql_trail_object *)(void *)t->objects.at;
    uint32_t names = s->objects > 0 ? objects[s->object].at : t->names.len;
    last->times++;
    if (last->kind != s->kind) last->kind = SQL_KIND_NONE;
    if (last->fingerprint != s->fingerprint) last->fingerprint = 0;
    last->objects_left_out += s->objects_left_out;
    for (uint32_t i = 0; i < s->objects; i++) {
        const struct sql_trail_object from = objects[s->object + i];
        if (is_there(t, last, from.verb, slice_of(t->names.at + from.at, from.len))) continue;
        if (last->objects == SQL_TRAIL_OBJECTS) {
            last->objects_left_out++;
            continue;
        }
        objects[last->object + last->objects++] = from;
        names = from.at + from.len;
    }
    buf_truncate(&t->names, names);
    buf_truncate(&t->objects,
                 (last->object + last->objects) * (uint32_t)sizeof(struct sql_trail_object));
}

static void add_statement(struct sql_trail *t, struct sql_trail_statement *s)
{
    struct sql_trail_statement *last = last_of(t);
    if (last && is_alike(t, last, s)) {
        last->times++;
        forget_objects(t, s);
    } else if (last && t->entries > SQL_TRAIL_STATEMENTS && !last->alone && !s->alone) {
        bundle(t, last, s);
    } else {
        buf_add(&t->statements, s, sizeof *s);
        if (!t->statements.failed) t->entries++;
    }
}

/* From its first token, of length `first`, to the end of its last. */
static void take_statement(struct walk *w, struct slice text, uint32_t first, uint32_t apart)
{
    struct sql_trail *t = w->trail;
    struct sql_trail_statement *s = &w->now;
    t->count++;
    *s = (struct sql_trail_statement){ .number = t->count, .times = 1, .alone = t->count == apart };
    s->object = t->objects.len / (uint32_t)sizeof(struct sql_trail_object);
    s->fingerprint = sql_fingerprint(text);
    read_text(w, text, &s->kind);
    if (s->kind == SQL_KIND_NONE) s->kind = sql_kind_of(slice_of(text.at, first));
    add_statement(t, s);
}

void sql_trail_read(struct sql_trail *t, struct slice text, const struct sql_trail_session *session,
                    uint32_t apart)
{
    const bool unsure = session->letters == SQL_CASE_UNKNOWN;
    struct walk w = { .trail = t,
                      .session = session,
                      .letters = unsure ? SQL_CASE_KEEP : session->letters };
    struct sql_lex lex;
    uint32_t from = 0, end = 0, first = 0;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        if (lex.token.kind != ';') {
            if (end == 0) {
                from = lex.token.at;
                first = lex.token.len;
            }
            end = lex.token.at + lex.token.len;
        } else if (end > 0) {
            take_statement(&w, slice_of(text.at + from, end - from), first, apart);
            end = 0;
        }
    }
    if (end > 0) take_statement(&w, slice_of(text.at + from, end - from), first, apart);
    t->failed = t->statements.failed || t->objects.failed || t->names.failed;
}

void sql_trail_fini(struct sql_trail *t)
{
    buf_fini(&t->statements);
    buf_fini(&t->objects);
    buf_fini(&t->names);
    *t = (struct sql_trail){ 0 };
}

const struct sql_trail_statement *sql_trail_statement(const struct sql_trail *t, uint32_t i)
{
    return (const struct sql_trail_statement *)(const void *)t->statements.at + i;
}

struct slice sql_trail_object(const struct sql_trail *t, const struct sql_trail_statement *s,
                              uint32_t i, enum sql_verb *verb)
{
    const struct sql_trail_object *object = object_at(t, s->object + i);
    *verb = object->verb;
    return slice_of(t->names.at + object->at, object->len);
}
