use super::*;

#[test]
fn a_request_names_a_file_of_the_directory() {
    let www = Path::new("/www");
    for request in ["GET /file\r\n", "GET /file", "GET /file\n"] {
        assert_eq!(requested(www, request.as_bytes()), Some("/www/file".into()), "{request:?}");
    }
}

#[test]
fn nothing_outside_the_directory_can_be_named() {
    for request in
        ["GET /../x", "GET /..", "GET /", "GET /a/b", "GET //etc/passwd", "GET file", "PUT /x", "", "GET /\0"]
    {
        assert_eq!(requested(Path::new("/www"), request.as_bytes()), None, "{request:?}");
    }
    assert_eq!(requested(Path::new("/www"), b"GET /\xff"), None);
}
