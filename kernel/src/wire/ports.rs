//! Ports of a connection file, for whoever starts a kernel.

use serde_json::{Value, json};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpSocket;

/// Five free ports of loopback, kept from everybody but the kernel that is told them.
///
/// A kernel binds its ports some tenths of a second after they were found free. Meanwhile the system may give
/// them to another process that asks for any port. So the sockets that found them stay, bound and not listening:
/// on Linux the system then gives these ports to nobody, and a listener that names one, with `SO_REUSEADDR` as
/// kernels have it, gets it. Elsewhere that listener would be refused, and nothing is kept.
#[derive(Debug)]
pub struct Ports {
    numbers: [u16; 5],
    _held: Vec<TcpSocket>,
}

impl Ports {
    /// Asks the system for five ports.
    ///
    /// # Errors
    /// It has none left.
    pub fn free() -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut held = Vec::new();
        let mut numbers = [0; 5];
        for number in &mut numbers {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(any)?;
            *number = socket.local_addr()?.port();
            held.push(socket);
        }
        if !cfg!(target_os = "linux") {
            held.clear();
        }
        Ok(Self {
            numbers,
            _held: held,
        })
    }

    /// The connection file of a kernel at these ports.
    pub fn connection_file(&self, key: &str) -> Value {
        let [shell, iopub, stdin, control, heartbeat] = self.numbers;
        json!({
            "ip": "127.0.0.1", "transport": "tcp", "key": key, "signature_scheme": "hmac-sha256",
            "shell_port": shell, "iopub_port": iopub, "stdin_port": stdin,
            "control_port": control, "hb_port": heartbeat,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn ports_are_kept_for_the_listener_that_names_them() {
        let ports = Ports::free().unwrap();
        // `std` asks as kernels do, with `SO_REUSEADDR`.
        for _ in 0..20_000 {
            let any = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = any.local_addr().unwrap().port();
            assert!(
                !cfg!(target_os = "linux") || !ports.numbers.contains(&port),
                "{port} was given to another"
            );
        }
        for port in ports.numbers {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }

    #[test]
    fn a_kernel_that_starts_again_gets_its_ports_again() {
        let ports = Ports::free().unwrap();
        for _ in 0..3 {
            let listener = TcpListener::bind(("127.0.0.1", ports.numbers[0])).unwrap();
            let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (far, _) = listener.accept().unwrap();
            drop((listener, far, near));
        }
    }
}
