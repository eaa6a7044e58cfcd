#include "auth/aws_env.h"

struct slice aws_env_get(const struct aws_env *env, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *var = env->vars; var && *var; var++)
        if (strncmp(*var, name, n) == 0 && (*var)[n] == '=') return slice_str(*var + n + 1);
    return (struct slice){ 0 };
}

bool aws_env_is_true(const struct aws_env *env, const char *name)
{
    return slice_is_nocase(aws_env_get(env, name), "true");
}

bool aws_env_add_path(const struct aws_env *env, struct slice path, struct buf *out)
{
    if (slice_starts(path, "~/")) {
        struct slice home = aws_env_get(env, "HOME");
        if (home.len == 0) return false;
        buf_add_slice(out, home);
        path = slice_after(path, 1);
    }
    buf_add_slice(out, path);
    return true;
}
