//! The hosts of a script: the load balancer's, and one that has the addresses of all clients and servers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::harness::namespace::{Host, cable};
use crate::script::{Act, BALANCER, CLIENTS, ClientAct, Script};

pub struct Site {
    pub balancer: Host,
    pub world: Host,
}

impl Site {
    pub fn new(script: &Script) -> Self {
        let site = Self { balancer: Host::new("balancer"), world: Host::new("world") };
        cable((&site.balancer, "eth0", &format!("{BALANCER}/24")), (&site.world, "eth0", &format!("{CLIENTS}/24")));
        site.balancer.ip(&format!("route add default via {CLIENTS}"));
        site.world.ip(&format!("route add default via {BALANCER}"));
        for address in &script.balancers {
            site.balancer.ip(&format!("address add {address}/32 dev eth0"));
        }
        for address in addresses(script) {
            site.appear(address);
        }
        site
    }

    /// Gives the world this address.
    pub fn appear(&self, address: IpAddr) {
        self.world.ip(&format!("address add {address}/32 dev eth0"));
    }

    /// Takes it away: what is sent there meets nobody, and no answer.
    pub fn vanish(&self, address: IpAddr) {
        self.world.ip(&format!("address del {address}/32 dev eth0"));
    }
}

/// Of servers and clients, but for the one that the world has anyway.
fn addresses(script: &Script) -> BTreeSet<IpAddr> {
    let client = |from: &Ipv4Addr| (*from != CLIENTS).then_some(IpAddr::V4(*from));
    let clients = script.steps.iter().filter_map(|step| match &step.act {
        Act::Client(_, ClientAct::Connect { from, .. }) => client(from),
        _ => None,
    });
    script.servers.iter().map(|server| server.address.ip()).chain(clients).collect()
}
