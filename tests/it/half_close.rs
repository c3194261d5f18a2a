//! One side's FIN ends that direction and nothing else.

use std::thread;
use std::time::Duration;

use crate::harness::app::{App, Config};
use crate::harness::pattern;
use crate::harness::peers::{Manual, Peer};
use crate::harness::wait::pause;

const MIB: u64 = 1024 * 1024;

#[test]
fn a_server_answers_after_the_clients_fin() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.say("question");
    client.sends_fin();
    served.hears("question");
    served.sees_fin();
    served.say("answer");
    served.sends_fin();
    client.hears("answer");
    client.sees_fin();
    assert_eq!(app.next_session()["cause"], "finished");
}

#[test]
fn a_client_goes_on_after_the_servers_fin() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    served.say("greeting");
    served.sends_fin();
    client.hears("greeting");
    client.sees_fin();
    client.say("last words");
    client.sends_fin();
    served.hears("last words");
    served.sees_fin();
    assert_eq!(app.next_session()["letters"], "--");
}

#[test]
fn a_fin_without_any_byte_ends_its_direction_only() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.sends_fin();
    served.sees_fin();
    served.say("all the same");
    client.hears("all the same");
}

#[test]
fn a_hundred_mebibytes_come_two_seconds_after_the_clients_fin() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    client.sends_fin();
    served.sees_fin();
    let late = thread::spawn(move || {
        pause(Duration::from_secs(2));
        pattern::write(&mut served, 100 * MIB).unwrap();
    });
    assert_eq!(pattern::read_to_end(&mut client).unwrap(), 100 * MIB);
    late.join().unwrap();
    let record = app.next_session();
    assert_eq!(record["bytes_out"], 100 * MIB);
    assert_eq!(record["bytes_in"], 0);
}

#[test]
fn a_hundred_mebibytes_come_two_seconds_after_the_servers_fin() {
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    served.sends_fin();
    client.sees_fin();
    let late = thread::spawn(move || {
        pause(Duration::from_secs(2));
        pattern::write(&mut client, 100 * MIB).unwrap();
    });
    assert_eq!(pattern::read_to_end(&mut served).unwrap(), 100 * MIB);
    late.join().unwrap();
    drop(served);
    assert_eq!(app.next_session()["bytes_in"], 100 * MIB);
}

#[test]
fn both_directions_carry_at_once() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (client, served) = app.session(&server);
    let ends = [client, served].map(|mut stream| {
        thread::spawn(move || {
            let mut writer = stream.try_clone().unwrap();
            let sending = thread::spawn(move || {
                pattern::write(&mut writer, 50 * MIB).unwrap();
                writer.sends_fin();
            });
            assert_eq!(pattern::read_to_end(&mut stream).unwrap(), 50 * MIB);
            sending.join().unwrap();
        })
    });
    for end in ends {
        end.join().unwrap();
    }
}

#[test]
fn a_slow_reader_loses_nothing() {
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]));
    let (mut client, mut served) = app.session(&server);
    let sending = thread::spawn(move || {
        pattern::write(&mut client, 64 * MIB).unwrap();
        client.sends_fin();
        client
    });
    // Everything on the way is full by then, and the proxy holds bytes that nobody takes.
    pause(Duration::from_millis(500));
    assert_eq!(pattern::read_to_end(&mut served).unwrap(), 64 * MIB);
    sending.join().unwrap();
}
