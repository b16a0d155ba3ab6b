use super::*;

fn body(stream: &[u8], step: usize) -> Result<(Vec<u8>, bool)> {
    let (mut body, mut file) = (Body::default(), Vec::new());
    for piece in stream.chunks(step) {
        body.take(Bytes::copy_from_slice(piece), |part| file.extend_from_slice(&part))?;
    }
    Ok((file, body.is_whole()))
}

#[test]
fn a_request_of_ours_asks_for_its_path() {
    for len in [1, 62, 63, 64, 126, 127, 128, 255, 256, 1000] {
        let path = format!("/{}", "n".repeat(len));
        assert_eq!(wanted(&request("localhost:4433", &path)).unwrap(), path);
    }
}

#[test]
fn huffman_codes_of_file_names_are_known() {
    // RFC 7541, C.4.1 and C.6.1
    assert_eq!(
        unpacked(&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]),
        "www.example.com"
    );
    assert_eq!(unpacked(&[0x64, 0x02]), "302");
    assert_eq!(unpacked(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]), "no-cache");
    assert_eq!(unpacked(&[]), "");
}

#[test]
fn a_peers_request_may_come_in_every_form_without_a_dynamic_table() {
    // a frame nobody knows; then :method GET, a name of its own, user-agent by name, :path by name, both packed
    let path = [0x51, 0x82, 0x60, 0x1f];
    let section =
        [&[0, 0, 0xd1, 0x23, b'x', b'-', b'y', 0x01, b'z', 0x5f, 0x50, 0x01, b'q'][..], &path].concat();
    let stream = [&[0x21, 1, 9][..], &frame(HEADERS, &section)].concat();
    assert_eq!(wanted(&stream).unwrap(), "/0");
    for odd in [&[][..], &[1, 9, 0], &frame(HEADERS, &[2, 0, 0x80]), &frame(HEADERS, &[0, 0, 0x80])] {
        assert!(wanted(odd).is_err(), "{odd:?}");
    }
    assert!(wanted(&frame(HEADERS, &[0, 0, 0xd1])).is_err(), "no path");
    assert!(wanted(&frame(HEADERS, &[0, 0, 0x51, 0x7f, 0xff, 0xff, 0xff, 0xff])).is_err());
}

#[test]
fn a_file_comes_whole_in_whatever_pieces() {
    let file: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let stream = [&answer(1000)[..], &file].concat();
    for step in [1, 7, 1000, 5000] {
        assert_eq!(body(&stream, step).unwrap(), (file.clone(), true));
    }
    assert!(!body(&stream[..900], 50).unwrap().1, "some is missing");
    // In two frames, with one between them that means nothing.
    let more = [&answer(3)[..], b"one", &[0x21, 2, 9, 9], &[0, 3], b"two"].concat();
    assert_eq!(body(&more, 2).unwrap(), (b"onetwo".to_vec(), true));
}

#[test]
fn an_answer_that_is_no_file_is_an_error() {
    assert!(body(&frame(HEADERS, &[0, 0, 0xdb]), 9).is_err());
    assert!(body(&[0, 3, 1, 2, 3], 9).is_err(), "no HEADERS");
    let endless = [&[1, 0xbf, 0xff, 0xff, 0xff][..], &[7; 10_000]].concat();
    assert!(body(&endless, 100).is_err());
    assert_eq!(body(&[], 1).unwrap(), (Vec::new(), false));
}
