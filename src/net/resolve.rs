//! Names to addresses, asked afresh every time.
//!
//! The resolver is written in Rust, so that a static binary in an empty image finds names too. It follows
//! `/etc/hosts` and `/etc/resolv.conf` as they are at the moment of asking; nothing is remembered between two calls.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

/// Why a name has no address at the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("no address for {name}")]
    NotFound { name: String },
    #[error("no answer about {name} within {limit:?}")]
    TimedOut { name: String, limit: Duration },
    #[error("can't look up {name}: {reason}")]
    Failed { name: String, reason: String },
}

/// An address of `name`, IPv4 if it has any, within `limit`.
///
/// Of several, `current` stays if it is among them, and otherwise the smallest is taken: an answer in another order
/// must not move a server.
pub async fn resolve(name: &str, current: Option<IpAddr>, limit: Duration) -> Result<IpAddr, ResolveError> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let (config, options) = read_system_conf().unwrap_or_else(|_| without_resolv_conf());
    lookup(config, options, name, current, limit).await
}

/// resolv.conf(5): without the file, or without a server in it, the local host is asked.
fn without_resolv_conf() -> (ResolverConfig, ResolverOpts) {
    let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
    (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
}

async fn lookup(
    config: ResolverConfig,
    mut options: ResolverOpts,
    name: &str,
    current: Option<IpAddr>,
    limit: Duration,
) -> Result<IpAddr, ResolveError> {
    let failed = |error: NetError| ResolveError::Failed { name: name.to_owned(), reason: error.to_string() };
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let resolver = builder.build().map_err(failed)?;
    let answer = match timeout(limit, resolver.lookup_ip(name)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.is_no_records_found() => return Err(ResolveError::NotFound { name: name.to_owned() }),
        Ok(Err(error)) => return Err(failed(error)),
        Err(_) => return Err(ResolveError::TimedOut { name: name.to_owned(), limit }),
    };
    let addresses: Vec<_> = answer.iter().collect();
    let kept = current.filter(|current| addresses.contains(current));
    kept.or_else(|| addresses.into_iter().min()).ok_or_else(|| ResolveError::NotFound { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_resolver::config::ConnectionConfig;
    use tokio::net::UdpSocket;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// A name server on loopback that gives these addresses for every question about IPv4, and none about IPv6.
    async fn name_server(addresses: Vec<Ipv4Addr>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut question).await {
                socket.send_to(&response(&question[..length], &addresses), client).await.unwrap();
            }
        });
        at
    }

    /// RFC 1035, section 4: the question's header and question section, then one answer for each address.
    fn response(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
        let name_end = 12 + question[12..].iter().position(|&byte| byte == 0).unwrap() + 1;
        let asks_ipv4 = question[name_end..name_end + 2] == [0, 1];
        let answers = if asks_ipv4 { addresses } else { &[] };
        let mut response = question[..2].to_vec();
        response.extend([0x81, 0x80, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
        response.extend(&question[12..name_end + 4]);
        for address in answers {
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            response.extend(address.octets());
        }
        response
    }

    async fn ask(server: SocketAddr, name: &str, current: Option<IpAddr>) -> Result<IpAddr, ResolveError> {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        lookup(config, ResolverOpts::default(), name, current, LIMIT).await
    }

    #[tokio::test]
    async fn addresses_and_localhost_need_no_name_server() {
        assert_eq!(resolve("::1", None, LIMIT).await, Ok("::1".parse().unwrap()));
        assert!(resolve("localhost", None, LIMIT).await.unwrap().is_loopback());
    }

    #[tokio::test]
    async fn an_answer_in_another_order_does_not_move_a_server() {
        let [one, two, three] = [1, 2, 3].map(|last| Ipv4Addr::new(10, 10, 0, last));
        let server = name_server(vec![three, one, two]).await;
        assert_eq!(ask(server, "controller.example.", None).await, Ok(one.into()));
        assert_eq!(ask(server, "controller.example.", Some(two.into())).await, Ok(two.into()));
        assert_eq!(ask(server, "controller.example.", Some(Ipv4Addr::LOCALHOST.into())).await, Ok(one.into()));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_found() {
        let server = name_server(vec![]).await;
        let name = "controller.example.".to_owned();
        assert_eq!(ask(server, &name, None).await, Err(ResolveError::NotFound { name }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_is_waited_for_no_longer_than_the_limit() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let begun = tokio::time::Instant::now();
        ask(silent.local_addr().unwrap(), "controller.example.", None).await.unwrap_err();
        assert!(begun.elapsed() <= LIMIT + Duration::from_millis(1));
    }
}
