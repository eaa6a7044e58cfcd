#include "protocol/message.h"

#define ALL  UINT32_MAX
#define HEAD MESSAGE_HEAD
#define TYPE MESSAGE_HEADER

const struct message_spec frontend_specs[256] = {
#define FRONTEND(name, byte, min, max, want) [byte] = { #name, min, max, want },
#include "protocol/message.def"
};

const struct message_spec backend_specs[256] = {
#define BACKEND(name, byte, min, max, want) [byte] = { #name, min, max, want },
#include "protocol/message.def"
};
