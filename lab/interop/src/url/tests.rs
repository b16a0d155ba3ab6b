use super::*;

fn parts(text: &str) -> (String, u16, String) {
    let url = Url::parse(text).unwrap();
    (url.host, url.port, url.path)
}

#[test]
fn names_and_addresses_with_and_without_ports() {
    assert_eq!(parts("https://server4:443/abc"), ("server4".into(), 443, "/abc".into()));
    assert_eq!(parts("https://server/a/b"), ("server".into(), 443, "/a/b".into()));
    assert_eq!(parts("https://[::1]:4433/x"), ("::1".into(), 4433, "/x".into()));
    assert_eq!(parts("https://127.0.0.1:1"), ("127.0.0.1".into(), 1, "/".into()));
}

#[test]
fn what_is_wrong_is_said() {
    let wrongs = ["http://a/", "https:///x", "https://[::1/x", "https://a:99999/x", "https://a:/x"];
    for wrong in wrongs {
        let message = format!("{:#}", Url::parse(wrong).unwrap_err());
        assert!(message.contains(wrong), "{message}");
    }
}

#[test]
fn a_file_name_never_leaves_the_directory() {
    for path in ["/", "/..", "/a/..", "/."] {
        assert!(Url { host: "h".into(), port: 1, path: path.into() }.file_name().is_err(), "{path}");
    }
    assert_eq!(Url::parse("https://h/a/b").unwrap().file_name().unwrap(), "b");
}
