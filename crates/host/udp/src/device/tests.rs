use super::*;
use crate::{Options, Socket};

fn error(device: &str) -> io::Error {
    let options = Options { device: Some(device.into()), ..Options::default() };
    Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap_err()
}

#[test]
fn a_device_that_is_not_there_is_named_with_those_that_are() {
    for name in ["nosuch0", "", "lo-and-much-longer-than-any"] {
        let error = error(name);
        assert!(
            error.to_string().starts_with(&format!("there is no network device {name:?} here; there are "))
        );
        assert!(error.to_string().contains("lo"), "{error}");
        let inner = error.get_ref().unwrap().downcast_ref::<DeviceError>().unwrap();
        assert_eq!(inner.device(), name);
    }
}

#[test]
fn what_the_kernel_forbids_comes_with_what_helps() {
    let denied = DeviceError::new("wan0", io::Error::from_raw_os_error(libc::EPERM));
    assert!(denied.to_string().contains("CAP_NET_RAW"), "{denied}");
    assert_eq!(io::Error::from(denied).kind(), io::ErrorKind::PermissionDenied);
    let other = DeviceError::new("wan0", io::Error::from_raw_os_error(libc::EINVAL));
    assert!(other.to_string().starts_with("cannot use network device \"wan0\": "), "{other}");
}

#[test]
fn a_socket_on_loopback_is_tied_to_it() {
    let options = Options { device: Some("lo".into()), ..Options::default() };
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    assert_eq!(socket.device().unwrap().as_deref(), Some("lo"));
}
