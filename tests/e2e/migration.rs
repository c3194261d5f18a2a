//! From HAProxy to evenkeel and back, with sessions that live on and clients that come all the while: docs/migration.md, step
//! by step. And evenkeel's HAProxy command line held against HAProxy's own.

mod full {
    use std::fs;
    use std::net::{SocketAddr, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use tempfile::TempDir;

    use crate::harness::app::BINARY;
    use crate::harness::haproxy::{ROOT, haproxy};
    use crate::harness::http;
    use crate::harness::namespace::Host;
    use crate::harness::peers::{Peer, Server, connect};
    use crate::harness::program::{Program, output, run};
    use crate::harness::wait::until;

    const FRONT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 6443);
    const SHADOW: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9001);

    /// A directory that HAProxy sees in its Debian, and what it is called there.
    struct Shared(TempDir);

    impl Shared {
        fn new() -> Self {
            Self(tempfile::tempdir_in(Path::new(ROOT).join("tmp")).unwrap())
        }

        /// As it is on this machine.
        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// As HAProxy sees it.
        fn within(&self, name: &str) -> PathBuf {
            Path::new("/").join(self.at(name).strip_prefix(ROOT).unwrap())
        }
    }

    /// One host with a server and a HAProxy that runs with a master, as distributions start it.
    struct Site {
        host: Host,
        shared: Shared,
        _server: Server,
    }

    impl Site {
        fn new() -> Self {
            let (host, shared) = (Host::new("migration"), Shared::new());
            let server = host.on(|| Server::echo_on(SocketAddr::from(([127, 0, 0, 1], 7000))));
            fs::write(shared.at("haproxy.cfg"), config(&shared)).unwrap();
            Self { host, shared, _server: server }
        }

        fn haproxy(&self, words: &[&str]) -> Program {
            let mut command = haproxy(&self.host.command("chroot"));
            command.arg("-W").arg("-db").arg("-f").arg(self.shared.within("haproxy.cfg")).args(words);
            let program = Program::start(&mut command);
            program.wait_for("Loading success.");
            program
        }

        fn evenkeel(&self, words: &[&str]) -> Program {
            Program::start(self.host.command(BINARY).args(words))
        }

        fn config(&self) -> String {
            self.shared.at("haproxy.cfg").to_str().unwrap().to_owned()
        }

        /// A session that is to live on.
        fn session(&self) -> TcpStream {
            let mut client = self.host.on(|| connect(FRONT));
            alive(&mut client);
            client
        }
    }

    fn alive(client: &mut TcpStream) {
        client.say("alive");
        client.hears("alive");
    }

    fn config(shared: &Shared) -> String {
        format!(
            "global\n  stats socket {} level admin expose-fd listeners\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
             timeout client 1h\n  timeout server 1h\nfrontend front\n  bind {FRONT}\n  default_backend back\nbackend back\n  \
             server a 127.0.0.1:7000 check inter 500\n",
            shared.within("stats.sock").display()
        )
    }

    /// Clients that come one after another, each with a few bytes.
    #[derive(Default)]
    struct Clients {
        over: AtomicBool,
        served: AtomicUsize,
    }

    impl Clients {
        /// How many are served until it is over; panics if one of them is refused or cut.
        fn come(&self, host: &Host) {
            host.on(|| {
                while !self.over.load(SeqCst) {
                    alive(&mut connect(FRONT));
                    self.served.fetch_add(1, SeqCst);
                }
            });
        }

        /// Waits until some more have been served.
        fn go_on(&self) {
            let wanted = self.served.load(SeqCst) + 200;
            until("clients are served", || (self.served.load(SeqCst) >= wanted).then_some(()));
        }
    }

    /// Ends the clients, also where a test fails while they come.
    struct Ends<'a>(&'a Clients);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.over.store(true, SeqCst);
        }
    }

    #[test]
    #[ignore = "needs root and HAProxy 3.2: tests/run --full unpacks it"]
    fn nobody_notices_the_take_over_nor_the_way_back() {
        let site = Site::new();
        run(site.host.command("sysctl").args(["-q", "-w", "net.ipv4.tcp_migrate_req=1"]));
        let clients = Clients::default();
        thread::scope(|scope| {
            let mut old = site.haproxy(&[]);
            let coming: Vec<_> = (0..3).map(|_| scope.spawn(|| clients.come(&site.host))).collect();
            let ends = Ends(&clients);
            let mut first = site.session();
            clients.go_on();

            // A shadow sees what HAProxy sees, and takes nothing from it.
            let shadow = site.evenkeel(&["run", "--shadow", &site.config()]);
            shadow.wait_for("a shadow: it probes and reports, and takes no client");
            until("the shadow has seen the server", || {
                let page = site.host.on(|| http::get(SHADOW, "/api/v1/status"))?.json();
                (page["backends"][0]["servers"][0]["state"] == "ready").then_some(())
            });
            drop(shadow);
            alive(&mut first);

            // The take-over: by HAProxy's own sockets, and HAProxy is told to finish.
            let (socket, pid) = (site.shared.at("stats.sock"), old.pid().to_string());
            let words = ["haproxy", "-W", "-db", "-f", &site.config(), "-x", socket.to_str().unwrap(), "-sf", &pid];
            let mut new = site.evenkeel(&words);
            new.wait_for("listening on a socket that was opened for us");
            old.wait_for("Proxy front stopped");
            clients.go_on();
            let mut second = site.session();
            alive(&mut first);
            drop(first);
            assert_eq!(old.ended().code(), Some(0), "HAProxy ends with its last session");

            // The way back: HAProxy binds beside evenkeel, which finishes.
            let back = site.haproxy(&["-sf", &new.pid().to_string()]);
            new.wait_for("soft stop: no longer accepting");
            clients.go_on();
            alive(&mut second);
            drop(second);
            assert_eq!(new.ended().code(), Some(0));
            alive(&mut site.session());
            clients.go_on();
            drop(ends);
            for client in coming {
                client.join().expect("every client is served");
            }
            drop(back);
        });
    }

    /// A run of each with the same words.
    struct Both {
        code: [Option<i32>; 2],
        out: [String; 2],
        err: [String; 2],
    }

    fn both(shared: &Shared, words: &str) -> Both {
        let run = |mut command: Command, name: &dyn Fn(&str) -> PathBuf| {
            let words = words.split_whitespace().map(|word| match word.strip_prefix('@') {
                Some(file) => name(file).into_os_string(),
                None => word.into(),
            });
            let output = output(command.args(words).env_remove("NO_SUCH"));
            let text = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).replace(shared.at("").to_str().unwrap(), "@");
                text.replace(shared.within("").to_str().unwrap(), "@").replace("@/", "@")
            };
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        let theirs = run(haproxy(&Command::new("chroot")), &|file| shared.within(file));
        let mut command = Command::new(BINARY);
        command.arg("haproxy");
        let ours = run(command, &|file| shared.at(file));
        Both { code: [theirs.0, ours.0], out: [theirs.1, ours.1], err: [theirs.2, ours.2] }
    }

    /// Lines of standard error without the process's number, up to `;` or, of mistakes, what each program has its own words
    /// for.
    fn alerts(text: &str) -> Vec<String> {
        let without_pid = |line: &str| {
            let (word, rest) = line.split_once('(')?;
            Some(format!("{word}{}", rest.split_once(')')?.1))
        };
        let told = text.lines().filter(|line| line.starts_with("[ALERT]"));
        told.filter_map(without_pid).map(|line| line.split(';').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    #[ignore = "needs root and HAProxy 3.2: tests/run --full unpacks it"]
    fn the_command_line_is_haproxys() {
        let shared = Shared::new();
        fs::write(shared.at("good.cfg"), config(&shared)).unwrap();
        fs::write(shared.at("wrong.cfg"), config(&shared) + "  frobnicate\n").unwrap();
        fs::write(shared.at("empty.cfg"), "").unwrap();
        fs::create_dir(shared.at("conf.d")).unwrap();
        let (global, rest) = config(&shared).split_once("defaults").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        fs::write(shared.at("conf.d/1.cfg"), global).unwrap();
        fs::write(shared.at("conf.d/2.cfg"), format!("defaults{rest}")).unwrap();
        fs::write(shared.at("conf.d/3.txt"), "nonsense").unwrap();
        for words in [
            "-c -f @good.cfg",
            "-c -V -f @good.cfg",
            "-c -q -V -f @good.cfg",
            "-c -V -- @good.cfg",
            "-cV -f @good.cfg",
            "-c -V -f @conf.d",
            "-c -V -D -W -p /nowhere/pid -n 10 -N 5 -m 100 -L me -dM -dS -db -sf 1 2 -f @good.cfg",
            "-c -f @wrong.cfg",
            "-c -q -f @wrong.cfg",
            "-c -f @empty.cfg",
            "-c -f @missing.cfg",
            "-C /nowhere -f @good.cfg",
            "-f @good.cfg -sf 1 abc",
            "-f @good.cfg -S /s",
            "-c -V -f @good.cfg -dW",
            "-f",
            "-cc 1",
            "-cc streq(a,b)",
            "-cc defined(NO_SUCH)||version_atleast(2.4)",
        ] {
            let Both { code, out, err } = both(&shared, words);
            assert_eq!(code[0], code[1], "{words}: {err:#?}");
            assert_eq!(out[0], out[1], "{words}: {err:#?}");
            assert_eq!(alerts(&err[0]), alerts(&err[1]), "{words}");
        }
        for words in ["", "-Z", "-h", "-s", "-f @good.cfg more"] {
            let Both { code, out, err } = both(&shared, words);
            assert_eq!(code, [Some(1); 2], "{words}");
            assert!(out.iter().all(|out| out.starts_with("HAProxy version 3.2.")), "{out:#?}");
            assert!(err.iter().all(|err| err.starts_with("Usage : haproxy [-f")), "{err:#?}");
        }
    }
}
