//! What a Kubernetes distribution's control plane needs, so that a file can be two lines.

use std::borrow::Cow;

use toml::de::DeValue;

use super::door::{DoorAddress, DoorEntry};
use super::leaf::{CheckType, Switch, VerifyMode, words};
use super::list::{Controllers, List, OneOrMore};
use super::mistake::Mistake;
use super::raw::{Backend, Check, Frontend, Member, Server};
use super::read::{Found, Origin, Reader, Span, Stated, Value};
use super::show::quoted;
use super::text::Address;
use crate::model::{BackendName, Balance, FrontendName, ListenAddress};

/// A distribution of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    K0s,
    Kubeadm,
    Rke2,
    K3s,
}

words!(Preset {
    "k0s" => Preset::K0s,
    "kubeadm" => Preset::Kubeadm,
    "rke2" => Preset::Rke2,
    "k3s" => Preset::K3s,
});

/// Port of the Kubernetes API server: the one that a control plane is not up without.
pub const KUBE_API: u16 = 6443;

/// Port on which konnectivity's agents connect to its servers; each agent needs a session at each server.
pub const KONNECTIVITY: u16 = 8132;

impl Preset {
    /// The word for it in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::K0s => "k0s",
            Self::Kubeadm => "kubeadm",
            Self::Rke2 => "rke2",
            Self::K3s => "k3s",
        }
    }

    /// What its controllers listen on, what that is called, and how it is checked.
    fn services(self) -> &'static [Service] {
        const API: Service = ("kubeAPI", KUBE_API, CheckType::KubeApiserver);
        match self {
            Self::K0s => &[
                API,
                ("konnectivity", KONNECTIVITY, CheckType::Konnectivity),
                ("controllerJoinAPI", 9443, CheckType::K0sJoin),
            ],
            Self::Kubeadm | Self::K3s => &[API],
            Self::Rke2 => &[API, ("supervisor", 9345, CheckType::Tls)],
        }
    }

    /// The frontends and backends in front of these controllers, as if the file stated them.
    pub fn parts(self, span: Span, controllers: Option<&Controllers>) -> Parts {
        let from = From(Origin::Preset { preset: self, span });
        let services = self.services();
        Parts {
            frontends: services.iter().map(|(name, port, _)| from.frontend(name, *port)).collect(),
            backends: services.iter().map(|service| from.backend(*service, controllers)).collect(),
        }
    }
}

/// A frontend's name, its port, and how the servers behind it are checked.
type Service = (&'static str, u16, CheckType);

/// What a preset stands for.
pub struct Parts {
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
}

/// Makes values that are from a preset.
struct From(Origin);

impl From {
    fn stated<T>(&self, value: T) -> Option<Stated<T>> {
        Some(Stated { value, origin: self.0 })
    }

    fn at(&self) -> Span {
        self.0.span().unwrap_or_default()
    }

    fn everywhere(&self, port: u16) -> OneOrMore<DoorEntry> {
        let entry = self.stated(DoorAddress(ListenAddress::DualStack { port })).map(DoorEntry::at);
        OneOrMore(entry.and_then(|entry| self.stated(entry)).into_iter().collect())
    }

    fn frontend(&self, name: &str, port: u16) -> Frontend {
        Frontend {
            at: self.at(),
            name: self.stated(FrontendName::new(name).expect("a preset's names are letters")),
            listen: self.stated(self.everywhere(port)),
            backend: self.stated(backend_name(name)),
            ..Frontend::default()
        }
    }

    fn backend(&self, (name, port, kind): Service, controllers: Option<&Controllers>) -> Backend {
        let check =
            Check { at: self.at(), kind: self.stated(kind), verify: self.stated(VerifyMode::None), ..Check::default() };
        Backend {
            at: self.at(),
            // Without controllers there are no servers, and that has been said.
            stated: vec!["servers"],
            name: self.stated(backend_name(name)),
            balance: self.stated(if port == KONNECTIVITY { Balance::Spread } else { Balance::LeastConn }),
            required: self.stated(port == KUBE_API),
            check: self.stated(Switch::On(check)),
            servers: controllers.and_then(|controllers| self.stated(self.servers(controllers, port))),
            ..Backend::default()
        }
    }

    fn servers(&self, controllers: &Controllers, port: u16) -> List<Member, 0> {
        let servers = controllers.0.iter().map(|controller| {
            let machine = &controller.machine;
            let address = Address::at(&machine.value.host, port);
            let server = Server {
                at: machine.span().unwrap_or_default(),
                name: Some(controller.name.clone()),
                address: Some(Stated { value: address, origin: machine.origin }),
                ..Server::default()
            };
            Stated { value: Member(server), origin: machine.origin }
        });
        List(servers.collect())
    }
}

fn backend_name(frontend: &str) -> BackendName {
    BackendName::new(&format!("{frontend}_backend")).expect("a preset's names are letters")
}

impl Address {
    /// This machine's address with a port.
    fn at(host: &crate::model::HostAddress, port: u16) -> Self {
        let endpoint = crate::model::Endpoint { host: host.clone(), port };
        Self { written: endpoint.to_string(), endpoint }
    }
}
