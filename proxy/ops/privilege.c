#include "proxy/ops/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool privilege_is_root(void) { return getuid() == 0 || geteuid() == 0; }

/* Root's home and name are no use to somebody else. */
static void move_home(const struct passwd *user)
{
    setenv("HOME", user->pw_dir, 1);
    setenv("USER", user->pw_name, 1);
    setenv("LOGNAME", user->pw_name, 1);
}

static const struct passwd *find(const char *name, struct err *err)
{
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (!user)
        err_set(err, ERR_CONFIG, "user: \"%s\": %s", name,
                errno ? strerror(errno) : "no such system user");
    return user;
}

bool privilege_give(const char *name, const char *path, struct err *err)
{
    const struct passwd *user = find(name, err);
    if (!user) return false;
    return lchown(path, user->pw_uid, user->pw_gid) == 0 ||
           err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
}

bool privilege_drop(const char *name, struct err *err)
{
    const struct passwd *user = find(name, err);
    if (!user) return false;
    if (user->pw_uid == 0 || user->pw_gid == 0)
        return err_set(err, ERR_CONFIG, "user: \"%s\" is root, or of its group", name);
    if (initgroups(name, user->pw_gid) != 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set(err, ERR_CONFIG, "user: cannot become \"%s\": %s", name, strerror(errno));
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || privilege_is_root())
        return err_set(err, ERR_CONFIG, "user: \"%s\" can become root again", name);
    move_home(user);
    return true;
}
