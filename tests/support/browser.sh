# shellcheck shell=bash disable=SC2154,SC2034 # sourced after env.sh, whose variables it uses
# browser: a headless Chromium for scripts. Source it after env.sh.
#
#   browser_find   $chromium, and $browser/node with playwright-core and our *.js; fails, with the reason
#                  in $browser_lacks, where that cannot be had
#   $browser       build/browser; screenshots go to $browser/shots

browser=$root/build/browser

browser_find() {
    browser_lacks='chromium cannot be installed'
    "$support/packages.sh" browser >/dev/null 2>&1 || return 1
    browser_lacks='there is no chromium'
    chromium=$(command -v chromium || command -v chromium-browser) || return 1
    browser_lacks='there is no npm'
    command -v npm >/dev/null || return 1
    mkdir -p "$browser/node" "$browser/shots"
    cp "$root"/tests/browser/*.js "$root/tests/browser/package.json" "$browser/node/"
    browser_lacks='playwright-core cannot be had from npm'
    [ -d "$browser/node/node_modules/playwright-core" ] ||
        (cd "$browser/node" && npm install --no-package-lock --no-audit --no-fund) >/dev/null 2>&1
}
