//! The runtime API: what HAProxy 3.2 itself answers, which `tests/it` holds evenkeel against, and the clients that people
//! have.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use self::terminal::Terminal;
use crate::harness::app::{App, Config};
use crate::harness::haproxy::{ROOT, haproxy};
use crate::harness::peers::Server;
use crate::harness::program::{Program, output};
use crate::harness::runtime::{GOLDEN, Runtime, Scene};
use crate::harness::wait::until;
use crate::harness::{http, ports};

#[path = "../cli/terminal.rs"]
#[allow(dead_code, reason = "what only draws needs no keys, and the other way round")]
mod terminal;

mod full {
    use super::*;

    /// Writes them anew: `cargo test --test e2e -- --ignored --exact runtime::full::haproxys_answers_are_written_down`.
    #[test]
    #[ignore = "needs root and HAProxy 3.2: tests/run --full unpacks it"]
    fn haproxys_answers_are_written_down() {
        let scene = Scene::set();
        let directory = tempfile::tempdir_in(Path::new(ROOT).join("tmp")).unwrap();
        let seen = Path::new("/").join(directory.path().strip_prefix(ROOT).unwrap());
        fs::write(directory.path().join("haproxy.cfg"), scene.config(&seen)).unwrap();
        let file = seen.join("haproxy.cfg");
        let _haproxy = Program::start(haproxy(&Command::new("chroot")).arg("-db").arg("-f").arg(file));
        let socket = directory.path().join("admin.sock");
        until("HAProxy's socket", || socket.exists().then_some(()));
        scene.settle(&Runtime::at(&socket));
        fs::write(GOLDEN, scene.play(directory.path())).unwrap();
    }
}

/// An app with a runtime socket that lets its clients act.
struct Site {
    _app: App,
    _servers: [Server; 2],
    runtime: Runtime,
    directory: TempDir,
}

impl Site {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("haproxy.sock");
        let servers = [Server::echo(), Server::echo()];
        let line = format!("[[runtime]]\nlisten = \"unix:{}\"\nlevel = \"admin\"", socket.display());
        let config = Config::to(&[servers[0].address(), servers[1].address()]).more(&line);
        Self { _app: App::start(&config), _servers: servers, runtime: Runtime::at(&socket), directory }
    }

    fn socket(&self) -> String {
        self.directory.path().join("haproxy.sock").display().to_string()
    }

    fn status(&self, server: u32) -> String {
        let line = self.runtime.ask(&format!("show stat back 4 {server}"));
        line.lines().nth(1).and_then(|row| row.split(',').nth(17)).unwrap().to_owned()
    }
}

/// As runbooks have them.
#[test]
fn socat_one_liners_work() {
    let site = Site::start();
    let sh = |pipe: &str| {
        let pipe = pipe.replace("SOCKET", &site.socket());
        let output = output(Command::new("sh").arg("-c").arg(&pipe));
        assert!(output.status.success(), "{pipe}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(sh("echo 'show info' | socat - UNIX-CONNECT:SOCKET | grep ^Uptime_sec").starts_with("Uptime_sec: "));
    let status = "echo 'show stat' | socat stdio SOCKET | cut -d, -f1,2,18 | grep ^back,";
    assert_eq!(sh(status), "back,a,no check\nback,b,no check\nback,BACKEND,UP\n");
    assert_eq!(sh("echo 'disable server back/a' | socat stdio SOCKET"), "\n");
    assert!(sh(status).starts_with("back,a,MAINT\n"));
    assert_eq!(sh("echo 'set weight back/b 50%; get weight back/b' | socat stdio SOCKET"), "\n0 (initial 1)\n\n");
    let several = "printf 'prompt\\nenable server back/a\\nshow cli level\\nquit\\n' | socat stdio SOCKET";
    assert_eq!(sh(several), "\n> \n> admin\n\n> ");
    assert!(sh(status).starts_with("back,a,no check\n"));
}

#[test]
fn hatop_shows_a_server_and_takes_it_out_and_back() {
    const DOWN: &str = "\x1bOB";
    const F9: &str = "\x1b[20~";
    const F10: &str = "\x1b[21~";
    let site = Site::start();
    // Of server b alone, whose row is then the one below the heading.
    let id = site.runtime.ask("show servers state back").lines().nth(3).unwrap().split(' ').next().unwrap().to_owned();
    let mut hatop = Command::new("hatop");
    hatop.args(["-s", &site.socket(), "-i", "1", "-f", &format!("{id} 4 2")]);
    let mut hatop = Terminal::start_for_keys(&mut hatop, 160);
    hatop.shows(">>> back");
    hatop.types(DOWN);
    hatop.shows(&format!("[#{id}/#2]"));
    hatop.types(F10);
    until("b is in maintenance", || (site.status(2) == "MAINT").then_some(()));
    hatop.shows("MAINT");
    assert_eq!(site.status(1), "no check");
    hatop.types(F9);
    until("b is back", || (site.status(2) == "no check").then_some(()));
}

#[test]
fn the_haproxy_exporter_reads_the_socket() {
    let site = Site::start();
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let _exporter =
        Program::start(Command::new("prometheus-haproxy-exporter").args([
            &format!("--haproxy.scrape-uri=unix:{}", site.socket()),
            &format!("--web.listen-address={listen}"),
        ]));
    let metrics = until("the exporter has asked", || {
        let answer = std::net::TcpStream::connect(listen).ok().and_then(|_| http::get(listen, "/metrics"))?;
        answer.body.contains("haproxy_up 1").then_some(answer.body)
    });
    for sample in [
        "haproxy_server_up{backend=\"back\",server=\"a\"} 1",
        "haproxy_backend_up{backend=\"back\"} 1",
        "haproxy_frontend_current_sessions{frontend=\"front\"} 0",
    ] {
        assert!(metrics.contains(sample), "{sample} is not in\n{metrics}");
    }
}
