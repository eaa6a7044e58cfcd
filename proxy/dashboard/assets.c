#include "proxy/dashboard/assets.h"

/* The assembler reads the file, which it finds from the source tree's top. */
#define ASSET(name, path)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            "asset_" #name ":\n"                                                                   \
            ".incbin \"" path "\"\n"                                                               \
            "asset_" #name "_end:\n"                                                               \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char asset_##name[] __attribute__((visibility("hidden")));                        \
    extern const char asset_##name##_end[] __attribute__((visibility("hidden")))

ASSET(page, "proxy/dashboard/index.html");
ASSET(script, "proxy/dashboard/app.js");
ASSET(style, "proxy/dashboard/app.css");
ASSET(icon, "proxy/dashboard/icon.svg");
ASSET(uplot_script, "proxy/dashboard/uplot.js");
ASSET(uplot_style, "proxy/dashboard/uplot.css");

static const struct file {
    const char *path, *type, *at, *end;
} files[] = {
    { "/", "text/html; charset=utf-8", asset_page, asset_page_end },
    { "/app.js", "text/javascript; charset=utf-8", asset_script, asset_script_end },
    { "/app.css", "text/css; charset=utf-8", asset_style, asset_style_end },
    { "/icon.svg", "image/svg+xml", asset_icon, asset_icon_end },
    { "/uplot.js", "text/javascript; charset=utf-8", asset_uplot_script, asset_uplot_script_end },
    { "/uplot.css", "text/css; charset=utf-8", asset_uplot_style, asset_uplot_style_end },
};

bool asset_find(struct slice path, struct asset *out)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const struct file *f = &files[i];
        if (!slice_is(path, f->path)) continue;
        *out = (struct asset){ f->path, f->type, slice_of(f->at, (size_t)(f->end - f->at)) };
        return true;
    }
    return false;
}
