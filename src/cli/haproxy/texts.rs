//! What HAProxy prints of itself: which version it is, how it was built, and its options.

use std::fmt::Write as _;

use crate::config::FEATURES;
use crate::model::{HAPROXY_RELEASED, HAPROXY_VERSION};

/// `-v`: the first line is read by programs.
pub fn version() -> String {
    let system = rustix::system::uname();
    let [name, release, version, machine] = [system.sysname(), system.release(), system.version(), system.machine()]
        .map(|text| text.to_string_lossy().into_owned());
    format!(
        "HAProxy version {HAPROXY_VERSION} {HAPROXY_RELEASED} - the command line of evenkeel {}\n\
         Status: this is evenkeel, which reads HAProxy 3.2's configuration and takes its place.\n\
         Running on: {name} {release} {version} {machine}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// `-vv`: what scripts look for among HAProxy's build options is here, too, where evenkeel has it.
pub fn details() -> String {
    let mut text = version();
    let _ = write!(
        text,
        "Build options : \n  TARGET  = {}-{}\n\nFeature list :",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    for feature in FEATURES {
        // Writing to a String can't fail.
        let _ = write!(text, " +{feature}");
    }
    text.push_str(
        "\n\nBuilt with multi-threading support.\n\
         Built with SSL library version : rustls\n\
         SSL library supports TLS extensions : yes\n\
         SSL library supports SNI : yes\n\
         SSL library supports : TLSv1.2 TLSv1.3\n\
         Built with the Prometheus exporter as a service\n\
         Built with transparent proxy support using: IP_FREEBIND\n\n\
         Available polling systems :\n      epoll : pref=300,  test result OK\n\
         Total: 1 (1 usable), will use epoll.\n\n\
         Available services : prometheus-exporter\n\n",
    );
    text
}

/// Printed for whatever is no option.
pub const USAGE: &str = "\
Usage : haproxy [-f <cfgfile|cfgdir>]* [ -vdVD ] [ -n <maxconn> ] [ -N <maxpconn> ]
        [ -p <pidfile> ] [ -m <max megs> ] [ -C <dir> ] [-- <cfgfile>*]
        -v tells the version ; -vv how it was built, too.
        -d stays in the foreground and logs everything ; -db only stays in the foreground.
        -V says more ; -q says nothing.
        -D goes to the background ; -C changes to <dir> before files are read.
        -W has signals mean what they mean to HAProxy's master.
        -Ws does so under systemd, which is told when it is ready.
        -c only checks the files.
        -cc <condition> tells by the exit code whether it holds.
        -n limits the sessions of the process, -N those of a frontend without a limit.
        -m is accepted ; what limits memory is the number of sessions.
        -L is the name in HAPROXY_LOCALPEER.
        -p writes the process's number to this file.
        -dR has nobody else listen on its ports.
        -dV has no check look at certificates.
        -dW takes a warning for an error.
        -sf/-st [pid ]* has old processes finish/end once this one listens.
        -x <unix_socket> takes the listening sockets of the process that answers there.
        -S <bind>[,<options>...] is the master's socket.
";
