use std::path::Path;

use crate::config::{Choice, Input, export, load, parse, parse_haproxy};
use crate::model::{Config, Dialect, Frontend, RuleStage};

use super::haproxy;

fn read(text: &str, name: &str) -> Config {
    parse_haproxy(text, name, Choice::default()).unwrap_or_else(|report| panic!("{}\n{text}", report.render(false))).0
}

/// What was written for HAProxy, read again.
fn again(config: &Config) -> Config {
    let mut again = read(&haproxy(config, "it.toml"), "again.cfg");
    again.dialect = config.dialect;
    again
}

#[test]
fn a_haproxy_cfg_comes_back_as_it_was() {
    let mut tried = 0;
    for directory in ["tests/config/haproxy", "tests/e2e/side/files"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for path in std::fs::read_dir(root).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let Ok(config) = load(&path) else { continue };
            if config.dialect != Dialect::Haproxy {
                continue;
            }
            // A listen section comes before backends that stood above it: sections are compared by their numbers.
            let (mut again, mut config) = (again(&config), config);
            for config in [&mut again, &mut config] {
                config.frontends.sort_by_key(|frontend| frontend.id);
                config.backends.sort_by_key(|backend| backend.id);
            }
            assert_eq!(again.frontends, config.frontends, "{}", path.display());
            assert_eq!(again.backends, config.backends, "{}", path.display());
            assert_eq!(again.limits, config.limits, "{}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 1, "no file was tried");
}

/// What both have words for.
#[test]
fn toml_comes_back_as_far_as_haproxy_has_words_for_it() {
    for file in ["config/evenkeel.toml", "config/minimal.toml", "tests/config/rich.toml"] {
        let text = std::fs::read_to_string(file).unwrap();
        // HAProxy counts sources in a table, which evenkeel has no use for.
        let text = text.lines().filter(|line| !line.contains("_per_source")).collect::<Vec<_>>().join("\n");
        let config = parse(&text, file).unwrap_or_else(|report| panic!("{report}"));
        let again = again(&config);
        let doors = |frontend: &Frontend| (frontend.listen.clone(), frontend.max_sessions, frontend.backend.clone());
        assert_eq!(
            again.frontends.iter().map(doors).collect::<Vec<_>>(),
            config.frontends.iter().map(doors).collect::<Vec<_>>()
        );
        for (again, backend) in again.backends.iter().zip(&config.backends) {
            assert_eq!((&again.name, again.timeouts.dial), (&backend.name, backend.timeouts.dial), "{file}");
            assert_eq!(
                (again.timeouts.tunnel, again.timeouts.half_close),
                (backend.timeouts.tunnel, backend.timeouts.half_close)
            );
            assert_eq!((again.keepalive, again.all_backups), (backend.keepalive, backend.all_backups), "{file}");
            assert_eq!(again.servers.len(), backend.servers.len(), "{file}");
            for (again, server) in again.servers.iter().zip(&backend.servers) {
                assert_eq!((&again.name, &again.address), (&server.name, &server.address), "{file}");
                assert_eq!(
                    (again.weight, again.backup, again.disabled),
                    (server.weight, server.backup, server.disabled)
                );
                assert_eq!((again.max_sessions, again.send_proxy), (server.max_sessions, server.send_proxy), "{file}");
                assert_eq!((again.source, &again.track), (server.source, &server.track), "{file}");
            }
        }
        assert_eq!((again.limits, again.hosts), (config.limits, config.hosts), "{file}");
    }
}

#[test]
fn what_haproxy_has_no_words_for_stands_in_comments_where_it_would_be() {
    let (text, warnings) = export(Input::from(Path::new("config/minimal.toml"))).unwrap();
    assert!(warnings.is_empty());
    let konnectivity =
        text.split("\nbackend konnectivity_backend").nth(1).and_then(|rest| rest.split("\nbackend").next());
    let konnectivity = konnectivity.unwrap();
    assert!(
        konnectivity.contains("    # evenkeel: balance = \"spread\"") && konnectivity.contains("check-alpn h2"),
        "{text}"
    );
    assert!(text.contains("# evenkeel: a silent dial is joined by one to another server"), "{text}");
}

#[test]
fn names_with_signs_that_mean_something_are_quoted() {
    let toml = "preset = 'k0s'\ncontrollers = ['10.0.0.1']\n[process]\nchroot = '/var/lib/a \"b\" $c'\n";
    assert!(haproxy(&parse(toml, "it.toml").unwrap(), "it.toml").contains("chroot \"/var/lib/a \\\"b\\\" \\$c\"\n"));
}

#[test]
fn tables_come_back_and_limits_by_source_do_without_theirs() {
    let text = "frontend f\n bind :1\n stick-table type ip size 1k expire 30s store conn_cur,conn_rate(3s)\n\
                tcp-request connection track-sc0 src\n tcp-request session track-sc1 src table b if { src 10.0.0.0/8 }\n\
                tcp-request content track-sc2 src table other\n\
                tcp-request connection reject if { sc0_conn_cur gt 20 } or { src_conn_rate 3:5 9 }\n\
                tcp-request session reject if { sc1_conn_cnt(other) lt 7 }\n default_backend b\n\
                backend b\n stick-table type ipv6 size 7 nopurge store sess_cnt,conn_cnt\n timeout connect 2s\n server s 10.0.0.1:1\n\
                backend other\n stick-table type ipv6 size 9 store conn_cnt\n";
    let config = read(text, "it.cfg");
    let again = again(&config);
    assert_eq!((config.tables.len(), config.backends.len()), (3, 1));
    assert_eq!(again.tables, config.tables);
    assert!(haproxy(&config, "it.cfg").contains("backend other\n    stick-table type ipv6 size 9 store conn_cnt\n"));
    assert_eq!((again.frontends, again.backends), (config.frontends.clone(), config.backends.clone()));
    let mut limited = config;
    limited.frontends[0].by_source.max_sessions = Some(3);
    assert!(haproxy(&limited, "it.cfg").contains("# evenkeel: limits by source"));
    limited.tables.retain(|table| table.name.as_str() != "f");
    limited.frontends[0].rules.retain(|rule| matches!(rule.stage, RuleStage::Content));
    let text = haproxy(&limited, "it.cfg");
    assert!(text.contains("track-sc0 src\n") && text.contains("{ sc0_conn_cur gt 3 }"), "{text}");
}

// Seen to fail without the words of the file.
#[test]
fn a_unix_socket_comes_back_with_its_file_and_one_that_can_not_be_named_stands_in_a_comment() {
    let text = "[[frontend]]\nname = 'f'\nfreebind = true\nlisten = ['unix:/run/a b.sock', { address = 'unix:/run/b.sock', \
                mode = '0640', user = 'root', group = '7', name = 'x' }, 'unix:/run/c,d.sock']\nbackend = 'b'\n\
                [[backend]]\nname = 'b'\nservers = ['10.0.0.1:1']\n";
    let config = parse(text, "it.toml").unwrap();
    let again = again(&config);
    assert_eq!(again.frontends[0].listen, config.frontends[0].listen[..2]);
    let written = haproxy(&config, "it.toml");
    assert!(written.contains("# evenkeel: bind unix:/run/c,d.sock: HAProxy takes what follows a comma"), "{written}");
}
