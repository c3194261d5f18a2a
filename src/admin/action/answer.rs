//! What has been done, as a document for programs.

use serde::Serialize;

use super::{Changed, Done, Outcome, Setting};

impl Done {
    /// The answer's document.
    pub(in crate::admin) fn render(&self) -> String {
        let mut answer = Answer { text: &self.text, ..Answer::default() };
        match &self.outcome {
            Outcome::Changed(changed) => {
                answer.changed = Some(Difference::Servers(changed.iter().map(ChangedServer::of).collect()));
            }
            Outcome::Killed { killed, unknown } => {
                answer.killed = Some(*killed);
                answer.unknown = Some(unknown.iter().map(ToString::to_string).collect());
            }
            Outcome::Planned { plan, changed, warnings } => {
                (answer.plan, answer.warnings) = (Some(&plan[..]), Some(&warnings[..]));
                answer.changed = Some(Difference::Any(*changed));
            }
            Outcome::Upgraded { pid } => answer.pid = Some(*pid),
            Outcome::Told => {}
        }
        serde_json::to_string(&answer).expect("structs of strings and numbers have a form") + "\n"
    }
}

#[derive(Serialize, Default)]
struct Answer<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Difference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    killed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

/// Which servers were changed, or whether anything was.
#[derive(Serialize)]
#[serde(untagged)]
enum Difference<'a> {
    Servers(Vec<ChangedServer<'a>>),
    Any(bool),
}

#[derive(Serialize)]
struct ChangedServer<'a> {
    backend: &'a str,
    server: &'a str,
    from: Value,
    to: Value,
    sessions: u32,
}

/// A state's word, or a weight.
enum Value {
    Word(&'static str),
    Number(u16),
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word(word) => serializer.serialize_str(word),
            Self::Number(number) => serializer.serialize_u16(*number),
        }
    }
}

impl<'a> ChangedServer<'a> {
    fn of(changed: &'a Changed) -> Self {
        let (from, to) = match changed.setting {
            Setting::State(from, to) => (Value::Word(from.word()), Value::Word(to.word())),
            Setting::Weight(from, to) => (Value::Number(from.value()), Value::Number(to.value())),
        };
        let Changed { backend, server, sessions, .. } = changed;
        Self { backend: backend.as_str(), server: server.as_str(), from, to, sessions: *sessions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AdminState, SessionId};
    use crate::model::{BackendName, ServerName, Weight};

    #[test]
    fn an_answer_has_what_its_action_has() {
        let done = |outcome| Done { text: "so".into(), outcome }.render();
        let unknown = vec![SessionId { worker: 1, slot: 2, generation: 3 }];
        let killed = done(Outcome::Killed { killed: 2, unknown });
        assert_eq!(killed, "{\"text\":\"so\",\"killed\":2,\"unknown\":[\"1-2-3\"]}\n");
        assert_eq!(done(Outcome::Told), "{\"text\":\"so\"}\n");
        assert_eq!(done(Outcome::Upgraded { pid: 7 }), "{\"text\":\"so\",\"pid\":7}\n");
        let planned = Outcome::Planned { plan: vec!["+ x".into()], changed: true, warnings: Vec::new() };
        assert_eq!(done(planned), "{\"text\":\"so\",\"changed\":true,\"plan\":[\"+ x\"],\"warnings\":[]}\n");
        let changed = |setting| Changed {
            backend: BackendName::new("api").unwrap(),
            server: ServerName::new("sion").unwrap(),
            setting,
            sessions: 4,
        };
        let both = vec![
            changed(Setting::State(AdminState::Ready, AdminState::Drain)),
            changed(Setting::Weight(Weight::ONE, Weight::ZERO)),
        ];
        assert_eq!(
            done(Outcome::Changed(both)),
            "{\"text\":\"so\",\"changed\":[{\"backend\":\"api\",\"server\":\"sion\",\"from\":\"ready\",\"to\":\"drain\",\
             \"sessions\":4},{\"backend\":\"api\",\"server\":\"sion\",\"from\":1,\"to\":0,\"sessions\":4}]}\n"
        );
    }
}
