//! Where listening sockets come from: they are bound, or were opened for us by whoever started the process.

use std::fmt;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use socket2::Socket;

use super::StartError;
use super::runtime_sockets::{BACKLOG, RuntimeListener};
use super::unix_socket::{Place, UnixSocket, UnixSocketError};
use crate::model::{self, Descriptor, ListenAddress, RuntimeAddress, RuntimeSocket};
use crate::net::{self, BindError, BindOptions, Bound, sys};

/// Gives a listening socket for an address, a given one before a new one.
#[derive(Debug, Default)]
pub struct ListenerSource {
    given: Vec<Given>,
    /// The admin socket of the process that this one replaces, and its file.
    admin: Option<(PathBuf, UnixListener)>,
    /// Given ones that are in use, and as what.
    used: Vec<(Handle, ListenAddress)>,
    /// Other processes may listen on the same addresses.
    shares: bool,
}

/// What a unix socket of the runtime API is called when it is handed over, before its path.
const RUNTIME_FILE: &str = "runtime unix:";

/// What a unix socket of a frontend is called then, before its path: as the configuration has it.
const SESSIONS_FILE: &str = "unix:";

/// What a socket of the runtime API is called when it is handed over.
pub fn handed_over_as(address: &RuntimeAddress) -> String {
    match address {
        RuntimeAddress::Unix(path) => format!("{RUNTIME_FILE}{}", path.display()),
        RuntimeAddress::Listen(address) => address.to_string(),
    }
}

/// A socket that was opened for us.
#[derive(Debug)]
struct Given {
    handle: Handle,
    socket: Socket,
}

/// What is known of a socket before it is looked for.
#[derive(Debug)]
struct Handle {
    from: Origin,
    /// The service manager's, or what the process before listened on it as, in the words of the configuration.
    name: String,
    number: Option<u16>,
    /// `None` if it is no TCP socket that can listen.
    address: Option<SocketAddr>,
    /// A unix socket that listens.
    is_unix: bool,
}

/// Who opened a socket that we did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The service manager (socket activation).
    Inherited,
    /// A process of ours that this one replaces.
    HandedOver,
}

impl ListenerSource {
    /// Binds everything itself.
    pub fn bind() -> Self {
        Self::default()
    }

    /// Uses the sockets that the service manager opened (`sd_listen_fds(3)`), and binds the rest.
    pub fn inherited() -> Self {
        let mut source = Self::default();
        for sys::Inherited { name, descriptor } in sys::inherited_descriptors() {
            source.give(name, Origin::Inherited, Socket::from(descriptor));
        }
        source
    }

    /// Lets other processes of the same user listen on the addresses that it binds, as HAProxy does.
    pub fn sharing(self, shares: bool) -> Self {
        Self { shares, ..self }
    }

    /// Whether it lets them.
    pub fn shares(&self) -> bool {
        self.shares
    }

    /// Adds the sockets of a process whose place this one takes; those that are not of TCP are closed.
    pub fn give_transferred(&mut self, sockets: impl IntoIterator<Item = OwnedFd>) {
        for socket in sockets.into_iter().map(Socket::from) {
            if let Some(address) = net::listening_address(&socket) {
                self.give(address.to_string(), Origin::HandedOver, socket);
            }
        }
    }

    /// Adds a socket that was opened for us. One that is not of TCP serves nobody, and counts as left over.
    pub fn give(&mut self, name: String, from: Origin, socket: Socket) {
        let number = (from == Origin::Inherited).then(|| u16::try_from(socket.as_raw_fd()).ok()).flatten();
        let address = net::listening_address(&socket);
        let is_unix = net::is_unix_listener(&socket);
        self.given.push(Given { handle: Handle { from, name, number, address, is_unix }, socket });
    }

    /// Adds an admin socket that listens already, and whose file is there.
    pub fn give_admin(&mut self, file: PathBuf, socket: UnixListener) {
        self.admin = Some((file, socket));
    }

    /// The admin socket, the given one if it is at this place; one at another place is closed for good.
    pub fn admin(&mut self, spec: Option<&model::Admin>) -> Result<Option<UnixSocket>, UnixSocketError> {
        let place = spec.map(Place::of_admin);
        match (self.admin.take(), place) {
            (Some((file, socket)), Some(place)) if file == place.path => UnixSocket::adopt(socket, place).map(Some),
            (given, place) => {
                if let Some((file, _)) = given {
                    let _ = fs::remove_file(file);
                }
                place.map(|place| self.open(place)).transpose()
            }
        }
    }

    /// A new unix socket. Where ports are shared, whoever has the file ends when this process serves.
    fn open(&self, place: Place) -> Result<UnixSocket, UnixSocketError> {
        if self.shares { UnixSocket::supersede(place) } else { UnixSocket::bind(place) }
    }

    /// A socket of the runtime API, the given one if there is one for it.
    pub fn runtime(&mut self, spec: &RuntimeSocket) -> Result<RuntimeListener, StartError> {
        match &spec.listen {
            RuntimeAddress::Unix(path) => {
                let place = Place::of_runtime(spec, path);
                Ok(RuntimeListener::File(self.file(&handed_over_as(&spec.listen), place)?))
            }
            RuntimeAddress::Listen(address) => match self.unix_descriptor(*address)? {
                Some(socket) => Ok(RuntimeListener::Given(socket)),
                None => Ok(RuntimeListener::Tcp(self.listen(*address, &BindOptions::with_backlog(BACKLOG))?)),
            },
        }
    }

    /// A unix socket of a frontend, the given one if there is one for it. HAProxy leaves its file behind, and so does who
    /// is started as HAProxy is: the next process finds its name taken by nobody.
    pub fn file_of_sessions(&mut self, address: ListenAddress, place: Place) -> Result<UnixSocket, UnixSocketError> {
        let mut socket = self.file(&address.to_string(), place)?;
        if self.shares {
            socket.leave_file();
        }
        Ok(socket)
    }

    /// A unix socket, the given one if there is one of this name.
    fn file(&mut self, name: &str, place: Place) -> Result<UnixSocket, UnixSocketError> {
        match self.given.iter().position(|given| given.handle.is_unix && given.handle.name == name) {
            Some(given) => UnixSocket::adopt(self.given.swap_remove(given).socket.into(), place),
            None => self.open(place),
        }
    }

    /// A given unix socket that this descriptor means; `None` if it means another kind of socket, or is none.
    fn unix_descriptor(&mut self, wanted: ListenAddress) -> Result<Option<UnixListener>, BindError> {
        let ListenAddress::Descriptor(descriptor) = wanted else { return Ok(None) };
        let is_meant = |given: &Given| given.handle.is_unix && given.handle.is(descriptor);
        let Some(place) = self.given.iter().position(is_meant) else { return Ok(None) };
        let Given { handle, socket } = self.given.swap_remove(place);
        self.used.push((handle, wanted));
        socket.set_nonblocking(true).map_err(|error| BindError::new(wanted, error))?;
        Ok(Some(socket.into()))
    }

    /// Closes for good what the process before had of unix sockets and this one has no use for.
    pub fn drop_files(&mut self) {
        let file = |name: &str| {
            [RUNTIME_FILE, SESSIONS_FILE].iter().find_map(|prefix| name.strip_prefix(prefix)).map(str::to_owned)
        };
        self.given.retain(|given| match file(&given.handle.name) {
            Some(file) if given.handle.from == Origin::HandedOver => {
                let _ = fs::remove_file(file);
                false
            }
            _ => true,
        });
    }

    /// A listening socket for this address.
    pub fn listen(&mut self, wanted: ListenAddress, options: &BindOptions) -> Result<Bound, BindError> {
        let options = &BindOptions { shared: self.shares, ..options.clone() };
        let place = match wanted {
            ListenAddress::Descriptor(descriptor) => {
                Some(self.find(descriptor).map_err(|error| BindError::new(wanted, error))?)
            }
            _ => self.given.iter().position(|given| given.is_at(wanted)),
        };
        let Some(place) = place else { return self.bind_beside_given(wanted, options) };
        let Given { handle, socket, .. } = self.given.swap_remove(place);
        self.used.push((handle, wanted));
        net::adopt(socket, wanted, options)
    }

    /// The place of the one socket that is meant.
    fn find(&self, wanted: Descriptor) -> Result<usize, DescriptorError> {
        if let Some((handle, by)) = self.used.iter().find(|(handle, _)| handle.is(wanted)) {
            return Err(DescriptorError::InUse { handle: handle.to_string(), by: by.to_string() });
        }
        let mut places = (0..).zip(&self.given).filter(|(_, given)| given.handle.is(wanted));
        let Some((place, found)) = places.next() else { return Err(self.nothing_given()) };
        let others: Vec<String> = places.map(|(_, other)| other.handle.to_string()).collect();
        if !others.is_empty() {
            let all = format!("{}, {}", found.handle, others.join(", "));
            return Err(DescriptorError::Ambiguous { count: 1 + others.len(), all });
        }
        match found.handle.address {
            Some(_) => Ok(place),
            None => Err(DescriptorError::NotListening { handle: found.handle.to_string() }),
        }
    }

    fn nothing_given(&self) -> DescriptorError {
        let all = self.used.iter().map(|(handle, _)| handle).chain(self.given.iter().map(|given| &given.handle));
        let mut all: Vec<&Handle> = all.collect();
        all.sort_by_key(|handle| handle.number);
        match all.is_empty() {
            true => DescriptorError::NothingGiven,
            false => {
                DescriptorError::NotGiven { all: all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
            }
        }
    }

    /// Binds. Where that fails because of a socket that was opened for us, its configuration is what has to change.
    fn bind_beside_given(&self, wanted: ListenAddress, options: &BindOptions) -> Result<Bound, BindError> {
        net::bind(wanted, options).map_err(|error| match self.given.iter().find(|given| given.overlaps(wanted)) {
            Some(given) => BindError::new(wanted, given.overlap()),
            None => error,
        })
    }

    /// The sockets that no listen address fitted.
    pub fn left_over(self) -> Vec<String> {
        self.given.into_iter().map(|given| given.handle.to_string()).collect()
    }
}

impl Given {
    fn is_at(&self, wanted: ListenAddress) -> bool {
        let Some(local) = self.handle.address else { return false };
        match wanted {
            ListenAddress::Tcp(address) => local == address,
            ListenAddress::DualStack { port } => {
                local == SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)) && self.is_dual_stack()
            }
            ListenAddress::Descriptor(_) | ListenAddress::Unix(_) => false,
        }
    }

    fn overlaps(&self, wanted: ListenAddress) -> bool {
        let Some(local) = self.handle.address else { return false };
        let everywhere = local.ip().is_unspecified() && local.is_ipv6() && self.is_dual_stack();
        let own = if everywhere { ListenAddress::DualStack { port: local.port() } } else { ListenAddress::Tcp(local) };
        own.overlaps(wanted)
    }

    /// Why nothing else can be bound where it is.
    fn overlap(&self) -> DescriptorError {
        let handle = self.handle.to_string();
        match self.handle.from {
            Origin::Inherited => DescriptorError::Overlaps { handle },
            Origin::HandedOver => DescriptorError::StillOpen { handle },
        }
    }

    fn is_dual_stack(&self) -> bool {
        !self.socket.only_v6().unwrap_or(true)
    }
}

impl Handle {
    fn is(&self, wanted: Descriptor) -> bool {
        match (self.from, wanted) {
            // Numbers are others in another process, and so are its names: what it called them is what counts.
            (Origin::HandedOver, _) => self.name == ListenAddress::Descriptor(wanted).to_string(),
            (Origin::Inherited, Descriptor::Number(number)) => self.number == Some(number),
            (Origin::Inherited, Descriptor::Name(name)) => self.name == name.as_str(),
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.number {
            write!(f, "fd@{number} ")?;
        }
        match self.from {
            _ if self.name.is_empty() => {}
            Origin::Inherited => write!(f, "\"{}\" ", self.name)?,
            Origin::HandedOver => write!(f, "{} ", self.name)?,
        }
        match self.address {
            Some(address) => write!(f, "on {address}")?,
            None => write!(f, "which is no TCP socket that can listen")?,
        }
        match self.from {
            Origin::Inherited => Ok(()),
            Origin::HandedOver => write!(f, ", handed over"),
        }
    }
}

/// Why a listener can't have the descriptor that is meant for it.
#[derive(Debug, thiserror::Error)]
enum DescriptorError {
    #[error(
        "no socket was handed over to this process: let a socket unit start it (systemd/evenkeel.socket), or write an \
         address such as \":6443\""
    )]
    NothingGiven,
    #[error("there is no such descriptor, but {all}")]
    NotGiven { all: String },
    #[error("{count} descriptors have this name: write the number of one of {all}")]
    Ambiguous { count: usize, all: String },
    #[error("it is {handle}")]
    NotListening { handle: String },
    #[error("{handle} is used already, for {by}")]
    InUse { handle: String, by: String },
    #[error(
        "the service manager holds {handle}, which takes its port: listen on that very address, or change `ListenStream=` in \
         the socket unit"
    )]
    Overlaps { handle: String },
    #[error(
        "the process before this one holds {handle}, which takes its port until that process ends: restart instead of \
         upgrading"
    )]
    StillOpen { handle: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DescriptorName;

    const OPTIONS: &BindOptions = &BindOptions::with_backlog(16);

    fn open(address: &str) -> Socket {
        Socket::from(std::net::TcpListener::bind(address).unwrap())
    }

    fn local(socket: &Socket) -> SocketAddr {
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// What the manager hands over, and the number of the last one.
    fn handing(sockets: impl IntoIterator<Item = (&'static str, Socket)>) -> (ListenerSource, u16) {
        let mut source = ListenerSource::bind();
        for (name, socket) in sockets {
            source.give(name.to_owned(), Origin::Inherited, socket);
        }
        let number = source.given.last().and_then(|given| given.handle.number).expect("there is one");
        (source, number)
    }

    fn named(name: &str) -> ListenAddress {
        ListenAddress::Descriptor(Descriptor::Name(DescriptorName::new(name).unwrap()))
    }

    fn numbered(number: u16) -> ListenAddress {
        ListenAddress::Descriptor(Descriptor::Number(number))
    }

    fn refusal(source: &mut ListenerSource, wanted: ListenAddress) -> String {
        source.listen(wanted, OPTIONS).expect_err("it is to be refused").to_string()
    }

    #[test]
    fn a_given_socket_is_used_and_another_is_told_of() {
        let wanted = open("127.0.0.1:0");
        let address = local(&wanted);
        let (mut source, _) = handing([("api", wanted), ("other", open("127.0.0.1:0"))]);
        let bound = source.listen(ListenAddress::Tcp(address), OPTIONS).unwrap();
        assert!(bound.local_address().unwrap() == address && bound.adopted);
        let left = source.left_over();
        assert!(left.len() == 1 && left[0].contains("\"other\" on 127.0.0.1:"), "{left:?}");
    }

    #[test]
    fn a_given_socket_is_found_by_its_name_and_by_its_number() {
        let (one, other) = (open("127.0.0.1:0"), open("127.0.0.1:0"));
        let (first, second) = (local(&one), local(&other));
        let (mut source, number) = handing([("api", one), ("other", other)]);
        let by_number = source.listen(numbered(number), OPTIONS).unwrap();
        let by_name = source.listen(named("api"), OPTIONS).unwrap();
        assert_eq!([by_name, by_number].map(|bound| bound.local_address().unwrap()), [first, second]);
        assert!(source.left_over().is_empty());
    }

    #[test]
    fn a_descriptor_that_is_not_there_is_said_with_those_that_are() {
        let nothing = refusal(&mut ListenerSource::bind(), named("api"));
        assert!(nothing.contains("can't listen on fd@api: no socket was handed over"), "{nothing}");
        let (mut source, number) = handing([("api", open("127.0.0.1:0"))]);
        let other = refusal(&mut source, named("ap"));
        assert!(other.contains(&format!("no such descriptor, but fd@{number} \"api\" on 127.0.0.1:")), "{other}");
    }

    /// What is called `fd@3` here is no number of the process before.
    #[test]
    fn a_socket_that_is_handed_over_is_known_by_what_it_was_listened_on_as() {
        let sockets = ["fd@api", "fd@3", ":6443"].map(|name| (name, open("127.0.0.1:0")));
        let addresses = sockets.each_ref().map(|(_, socket)| local(socket));
        let mut source = ListenerSource::bind();
        for (name, socket) in sockets {
            source.give(name.to_owned(), Origin::HandedOver, socket);
        }
        let number = source.given[2].socket.as_raw_fd().try_into().unwrap();
        let error = refusal(&mut source, numbered(number));
        assert!(error.contains("fd@api on 127.0.0.1:") && error.contains(", handed over"), "{error}");
        for (wanted, address) in [(named("api"), addresses[0]), (numbered(3), addresses[1])] {
            assert_eq!(source.listen(wanted, OPTIONS).unwrap().local_address().unwrap(), address);
        }
        let left = source.left_over();
        assert_eq!(left, [format!(":6443 on {}, handed over", addresses[2])]);
    }

    #[test]
    fn a_descriptor_serves_once() {
        let socket = open("127.0.0.1:0");
        let address = ListenAddress::Tcp(local(&socket));
        let (mut source, number) = handing([("api", socket)]);
        let _first = source.listen(address, OPTIONS).unwrap();
        for again in [named("api"), numbered(number)] {
            let error = refusal(&mut source, again);
            assert!(error.contains(&format!("is used already, for {address}")), "{error}");
        }
    }

    #[test]
    fn a_name_of_several_descriptors_means_none_of_them() {
        let (mut source, number) = handing(["127.0.0.1:0", "127.0.0.1:0"].map(|address| ("evenkeel", open(address))));
        let error = refusal(&mut source, named("evenkeel"));
        assert!(error.contains("2 descriptors have this name") && error.contains(&format!("fd@{number}")), "{error}");
        source.listen(numbered(number), OPTIONS).unwrap();
    }

    #[test]
    fn what_is_no_tcp_socket_that_can_listen_is_refused_and_left_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (local, _) = std::os::unix::net::UnixStream::pair().unwrap();
        for socket in [connected.into(), datagrams.into(), Socket::from(local)] {
            let (mut source, _) = handing([("api", socket)]);
            let error = refusal(&mut source, named("api"));
            assert!(error.contains("is no TCP socket that can listen"), "{error}");
            assert_eq!(source.left_over().len(), 1);
        }
    }

    #[test]
    fn a_port_that_a_given_socket_takes_is_said_to_be_the_managers() {
        let socket = open("[::]:0");
        let port = local(&socket).port();
        let (mut source, _) = handing([("evenkeel.socket", socket)]);
        let error = refusal(&mut source, ListenAddress::Tcp(([127, 0, 0, 1], port).into()));
        assert!(error.contains(&format!("\"evenkeel.socket\" on [::]:{port}, which takes its port")), "{error}");
        source.listen(ListenAddress::DualStack { port }, OPTIONS).unwrap();
    }

    #[test]
    fn a_port_that_the_process_before_holds_still_is_said_to_be_its() {
        let socket = open("[::]:0");
        let port = local(&socket).port();
        let mut source = ListenerSource::bind();
        source.give(format!(":{port}"), Origin::HandedOver, socket);
        let error = refusal(&mut source, ListenAddress::Tcp(([127, 0, 0, 1], port).into()));
        assert!(error.contains(&format!("the process before this one holds :{port} on [::]:{port}")), "{error}");
    }

    #[test]
    fn a_given_socket_that_has_ceased_to_listen_listens_again() {
        // A port that the kernel chose would be given back with the end of listening.
        let address = local(&open("127.0.0.1:0"));
        let socket = open(&address.to_string());
        socket.shutdown(std::net::Shutdown::Read).unwrap();
        assert!(std::net::TcpStream::connect(address).is_err());
        let (mut source, _) = handing([("api", socket)]);
        let _bound = source.listen(named("api"), OPTIONS).unwrap();
        std::net::TcpStream::connect(address).unwrap();
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Tcp(taken.local_addr().unwrap());
        let error = ListenerSource::bind().listen(address, OPTIONS).unwrap_err();
        assert!(error.to_string().contains(&format!("{address}: the port is taken")), "{error}");
    }
}
