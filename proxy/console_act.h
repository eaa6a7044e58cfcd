/* console_act: what each worker does at an operator's command.
 *
 * Visits, as console_show's, but they change things: part->survey->text is the
 * command's argument ("": all databases), part->number says how many are still to be
 * waited for (PAUSE, WAIT_CLOSE), or were found (CANCEL, KILL_CLIENT), or understood it (SET
 * log_level). Thread: the visited worker's.
 */
#ifndef SLUICE_PROXY_CONSOLE_ACT_H
#define SLUICE_PROXY_CONSOLE_ACT_H

#include "proxy/survey.h"

/* Serves nobody any more and closes what is free; may be repeated until nothing is busy. */
void console_visit_pause(struct worker *w, struct survey_part *part);
void console_visit_resume(struct worker *w, struct survey_part *part);
void console_visit_reconnect(struct worker *w, struct survey_part *part);
/* How many that were let go are still there. */
void console_visit_wait_close(struct worker *w, struct survey_part *part);
/* Sends every client of the database away, closes every server, and pauses. */
void console_visit_kill_all(struct worker *w, struct survey_part *part);
/* The client whose id is part->survey->number: what it asks is cancelled, or it is sent away. */
void console_visit_cancel(struct worker *w, struct survey_part *part);
void console_visit_kill(struct worker *w, struct survey_part *part);
/* The text is what follows SET log_level. */
void console_visit_log_level(struct worker *w, struct survey_part *part);

#endif
