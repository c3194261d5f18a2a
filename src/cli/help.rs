//! `evenkeel --help`: the commands by what one wants to do, so that two dozen of them can be read.

use std::fmt::Write as _;

/// Under which heading each command stands.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Serve", &["run", "haproxy", "check", "show", "import", "export", "doctor", "probe", "demo"]),
    ("Look at the running process", &["status", "sessions", "events", "debug", "healthz"]),
    ("Act on it", &["drain", "ready", "maint", "weight", "kill", "add-server", "remove-server", "reload", "upgrade"]),
    ("Set up", &["hash-password", "completions", "man"]),
];

pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it could not be done; 2 the configuration or the command line was refused";

pub(super) const LONG: &str = "\
Examples:
  evenkeel demo                            try it: stand-in controllers and a page to open
  evenkeel check evenkeel.toml             find every mistake of a file, change nothing
  evenkeel run --config evenkeel.toml      serve
  evenkeel status --watch                  who is up, who is down and why
  evenkeel drain k0s-1 --over 60s --wait   before a controller is stopped

Exit codes:
  0  done, or ended by a signal in good order
  1  it could not be done: a port is taken, a probe failed, no process answers
  2  the configuration or the command line was refused";

pub(super) const COMPLETIONS: &str = "\
Examples:
  evenkeel completions bash > /usr/share/bash-completion/completions/evenkeel
  evenkeel completions zsh > /usr/share/zsh/site-functions/_evenkeel
  evenkeel completions fish > /usr/share/fish/vendor_completions.d/evenkeel.fish

Names of servers, backends, frontends and sessions are completed from the running process.
After an upgrade of evenkeel, make the script anew.";

/// The whole command line with its list of commands in groups.
pub(super) fn arranged(program: clap::Command) -> clap::Command {
    let mut list = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(list, "{heading}:");
        for name in names {
            let command = program.find_subcommand(name);
            let about = command.and_then(clap::Command::get_about).map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(list, "  {name:<14} {about}");
        }
    }
    program.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}\nOptions:\n{{options}}{{after-help}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::COMMANDS;
    use super::*;

    #[test]
    fn every_command_stands_under_one_heading() {
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut commands = COMMANDS;
        listed.sort_unstable();
        commands.sort_unstable();
        assert_eq!(listed, commands);
    }
}
