//! What the command line says over any file, at the start and at every reload.

use crate::model::{
    Config, FrontendName, ListenAddress, LogLevel, Probe, ProxyId, RuntimeSocket, Serves, Stats, StatsAccess, TlsProbe,
    Verify,
};

/// Settings of the command line that take the place of the file's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Sessions of the process.
    pub max_sessions: Option<u32>,
    /// Sessions of each frontend that has no limit of its own.
    pub max_sessions_of_frontends: Option<u32>,
    /// No check looks at whose certificate it is shown.
    pub verifies_nobody: bool,
    /// All there is to say is logged.
    pub debug: bool,
    /// One more place where the runtime API is spoken.
    pub runtime: Option<RuntimeSocket>,
    /// Nobody comes in, and nothing of what is configured is bound.
    pub shadow: Option<Shadow>,
}

/// A process that watches beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// Where it is watched itself.
    pub stats: ListenAddress,
    /// Whether the admin socket's place is free.
    pub admin: bool,
}

impl Overrides {
    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(sessions) = self.max_sessions {
            config.limits.max_sessions = sessions;
        }
        for frontend in &mut config.frontends {
            frontend.max_sessions = frontend.max_sessions.or(self.max_sessions_of_frontends);
        }
        if self.verifies_nobody {
            verify_nobody(config);
        }
        if self.debug {
            config.log.targets.iter_mut().for_each(|target| target.level = target.level.max(LogLevel::Debug));
        }
        config.runtime.extend(self.runtime.clone());
        if let Some(shadow) = &self.shadow {
            shadow.apply(config);
        }
    }
}

fn verify_nobody(config: &mut Config) {
    let of_servers = config.backends.iter_mut().flat_map(|backend| {
        let own = backend.servers.iter_mut().filter_map(|server| server.check.as_mut());
        own.chain(&mut backend.check)
    });
    for tls in of_servers.filter_map(|check| tls(&mut check.probe)) {
        tls.verify = Verify::None;
    }
}

/// The TLS of a probe that shows the server no secret, which nobody else may learn.
fn tls(probe: &mut Probe) -> Option<&mut TlsProbe> {
    match probe {
        Probe::Tcp => None,
        Probe::Tls(tls) | Probe::Konnectivity(tls) | Probe::K0sJoin(tls) => Some(tls),
        Probe::Https(probe) => Some(&mut probe.tls),
        Probe::Http(probe) => probe.tls.as_mut(),
        Probe::Script { tls, .. } => tls.as_mut(),
        Probe::KubeApiserver(probe) => probe.credential.is_none().then_some(&mut probe.tls),
    }
}

impl Shadow {
    fn apply(&self, config: &mut Config) {
        config.frontends.iter_mut().for_each(|frontend| frontend.listen.clear());
        config.stats = vec![self.page(config)];
        config.runtime.clear();
        if !self.admin {
            config.admin = None;
        }
    }
}

impl Shadow {
    /// Where a shadow is watched: all that evenkeel has, for those who may act where they do otherwise.
    fn page(&self, config: &Config) -> Stats {
        Stats {
            id: config.stats.first().map_or(ProxyId::FIRST, |stats| stats.id),
            name: FrontendName::new(Stats::NAME).expect("it has only letters"),
            listen: vec![self.stats],
            freebind: false,
            max_sessions: Stats::MAX_SESSIONS,
            tls: config.stats.first().and_then(|stats| stats.tls.clone()),
            access: config.stats.first().map_or_else(StatsAccess::default, |stats| stats.access.clone()),
            serves: Serves::ours(),
            is_listen: true,
            log: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn overridden(overrides: &Overrides, text: &str) -> Config {
        let text = format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n{text}");
        let mut config = config::parse(&text, "evenkeel.toml").unwrap();
        overrides.apply(&mut config);
        config
    }

    #[test]
    fn limits_of_the_command_line_count_and_a_frontends_own_does_more_than_its_default() {
        let overrides = Overrides { max_sessions: Some(7), max_sessions_of_frontends: Some(5), ..Overrides::default() };
        let config = overridden(&overrides, "[[frontend]]\nname = 'kubeAPI'\nmax_sessions = 3");
        assert_eq!(config.limits.max_sessions, 7);
        let limits: Vec<_> = config.frontends.iter().map(|frontend| frontend.max_sessions).collect();
        assert_eq!(limits, [Some(3), Some(5), Some(5)]);
    }

    #[test]
    fn whose_certificate_it_is_does_not_count_unless_a_secret_is_shown() {
        let overrides = Overrides { verifies_nobody: true, ..Overrides::default() };
        let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
        let check = |more: &str| {
            let (ca, token) = (ca.join("ca.crt"), ca.join("token"));
            let token = more.replace("TOKEN", &token.display().to_string());
            format!(
                "[[backend]]\nname = 'kubeAPI_backend'\ncheck = {{ type = 'kube-apiserver', verify = 'full', ca_file = '{}'{token} }}",
                ca.display()
            )
        };
        let verify = |config: &Config| match &config.backends[0].servers[0].check.as_ref().unwrap().probe {
            Probe::KubeApiserver(probe) => probe.tls.verify.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(verify(&overridden(&overrides, &check(""))), Verify::None);
        let secret = overridden(&overrides, &check(", token_file = 'TOKEN'"));
        assert!(matches!(verify(&secret), Verify::Ca { .. }));
        assert!(matches!(verify(&overridden(&Overrides::default(), &check(""))), Verify::Ca { .. }));
    }

    #[test]
    fn a_shadow_has_its_own_place_to_be_watched_at_and_no_other() {
        let stats = ListenAddress::Tcp(([127, 0, 0, 1], 9001).into());
        let shadow = |admin| Overrides { shadow: Some(Shadow { stats, admin }), ..Overrides::default() };
        let admin = "[admin]\nsocket = '/run/a.sock'\n";
        let config = overridden(&shadow(true), &format!("[stats]\nlisten = ':9000'\n{admin}"));
        assert!(config.frontends.len() == 3 && config.frontends.iter().all(|frontend| frontend.listen.is_empty()));
        assert_eq!(config.stats[0].listen, [stats]);
        assert!(config.admin.is_some() && overridden(&shadow(false), admin).admin.is_none());
    }
}
