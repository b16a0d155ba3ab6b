//! What both ends of quinn's family do for their application: the calls are the same, the types are those of two crates.

/// Writes what is to be sent, as far as it goes, and reads what has come. Of an end with the fields `connection`,
/// `sending`, `receiving` and `got`, on streams of the crate `$proto`.
macro_rules! work {
    ($end:ident, $proto:ident) => {
        let Some((_, connection)) = &mut $end.connection else { return };
        if connection.is_closed() {
            return;
        }
        for (id, data, at) in &mut $end.sending {
            while *at < data.len() {
                match connection.send_stream(*id).write(&data[*at..]) {
                    Ok(written) => *at += written,
                    Err($proto::WriteError::Blocked) => break,
                    Err(error) => panic!("write failed: {error:?}"),
                }
            }
            if *at == data.len() {
                *at += 1;
                connection.send_stream(*id).finish().expect("first finish");
            }
        }
        $end.sending.retain(|(_, data, at)| *at <= data.len());
        while let Some(id) = connection.streams().accept($proto::Dir::Uni) {
            $end.receiving.insert(id, Vec::new());
        }
        let mut whole = Vec::new();
        for (id, into) in &mut $end.receiving {
            let mut stream = connection.recv_stream(*id);
            let mut chunks = stream.read(true).expect("a stream that is read in order");
            loop {
                match chunks.next(usize::MAX) {
                    Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
                    Ok(None) => break whole.push(*id),
                    Err($proto::ReadError::Blocked) => break,
                    Err(error) => panic!("read failed: {error:?}"),
                }
            }
            let _ = chunks.finalize();
        }
        for id in whole {
            $end.got.extend($end.receiving.remove(&id));
        }
    };
}

pub(crate) use work;
