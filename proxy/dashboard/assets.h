/* assets: the dashboard's files, in the program itself.
 *
 * Nothing is read from a disk and nothing from another host. uplot.js and uplot.css are uPlot
 * 1.6.32 as published, under the licence in uplot.LICENSE; the rest is ours.
 */
#ifndef SLUICE_PROXY_DASHBOARD_ASSETS_H
#define SLUICE_PROXY_DASHBOARD_ASSETS_H

#include "protocol/slice.h"

struct asset {
    const char *path, *type;
    struct slice content;
};

/* False: there is none. Only exact paths. */
bool asset_find(struct slice path, struct asset *out);

#endif
