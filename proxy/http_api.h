/* http_api: the dashboard's side door: the console's commands and the state of the proxy, as JSON.
 *
 *   POST /api/login    {"user":..., "password":...}    a session's cookie
 *   POST /api/logout
 *   GET  /api/state[?since=N]                          everything the page shows at once
 *   POST /api/command  {"command":"SHOW POOLS"}        any statement of the console
 *
 * A command is carried out, authorised and recorded as at the console (console_way.h).
 * Answers: {"columns":[...],"rows":[[...]]}, {"done":"RELOAD"} or {"error":{...}}.
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_API_H
#define SLUICE_PROXY_HTTP_API_H

#include "proxy/http_admin.h"

void http_api_login(const struct admin_request *r);
void http_api_logout(const struct admin_request *r);
void http_api_state(const struct admin_request *r);
void http_api_command(const struct admin_request *r);

#endif
