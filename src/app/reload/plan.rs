//! What a reload changes, as it is told before and after.

use crate::config::Difference;
use crate::event::counted;
use crate::model::Config;

/// What a reload changes, or would change.
#[derive(Debug, Default)]
pub struct Plan {
    pub differences: Vec<Difference>,
    /// Those of them that wait for the next start or upgrade.
    pub later: Vec<&'static str>,
    /// Sessions that are closed because their server is gone.
    pub closing: usize,
    /// Listen addresses that nobody listens on yet.
    pub new_addresses: Vec<String>,
    /// Of the file, a line each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// A line for each change and what follows; none if nothing changes.
    pub fn lines(&self) -> Vec<String> {
        if self.differences.is_empty() {
            return Vec::new();
        }
        let mut lines: Vec<String> = self.differences.iter().map(ToString::to_string).collect();
        lines.extend(self.later.iter().map(|setting| format!("{setting} waits for the next start or upgrade")));
        lines.push(format!("{} closed", counted(self.closing, "session")));
        lines
    }

    /// In a sentence, of one that is not carried out.
    pub fn text(&self) -> String {
        let changes = self.differences.len();
        if changes == 0 {
            return "nothing would change".to_owned();
        }
        let mut text = format!("{} would be made", counted(changes, "change"));
        if !self.new_addresses.is_empty() {
            text += &format!("; whether {} can be bound shows when it is tried", self.new_addresses.join(", "));
        }
        text
    }
}

/// What only a start or an upgrade can change.
pub fn later(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut later = Vec::new();
    if old.process.workers != new.process.workers {
        later.push("process.workers");
    }
    let log = |config: &Config| (config.log.targets.clone(), config.log.open, config.log.progress);
    if log(old) != log(new) {
        later.push("[log]");
    }
    later
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_lines_and_one_that_changes_nothing_in_none() {
        assert_eq!((Plan::default().lines(), Plan::default().text().as_str()), (Vec::new(), "nothing would change"));
        let plan = Plan {
            differences: vec![Difference::Added("server api/x".into())],
            later: vec!["[log]"],
            closing: 1,
            new_addresses: vec![":443".into(), ":7443".into()],
            warnings: Vec::new(),
        };
        let expected = ["+ server api/x", "[log] waits for the next start or upgrade", "1 session closed"];
        assert_eq!(plan.lines(), expected);
        let text = "1 change would be made; whether :443, :7443 can be bound shows when it is tried";
        assert_eq!(plan.text(), text);
    }
}
