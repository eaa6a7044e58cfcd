#include "auth/saslprep.h"

bool saslprep(struct slice password, struct buf *out)
{
    buf_add_slice(out, password);
    return !out->failed;
}
