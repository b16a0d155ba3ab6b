//! What a program does to the paths of its connection, and what it writes down of them. A program names a path by the link
//! it is on: the client knows its own sockets, the server its own addresses.

use tq_quic::{ClosePathError, OpenPathError, PathEvent, PathInfo, Status};

use super::actor::Actor;
use super::plan::{Item, Verb};
use super::wires::address;
use crate::app::AppContext;

/// The link of a path, as the end sees it.
fn link_of(side: usize, path: &PathInfo) -> Option<u64> {
    match side {
        0 => Some(u64::from(path.socket)),
        _ => (0..super::plan::MOST_LINKS)
            .find(|link| path.local_ip == Some(address(1, *link as usize, 0).ip())),
    }
}

impl Actor {
    pub(super) fn on_path(&mut self, cx: &mut AppContext<'_>, item: &Item) {
        let (link, now, side) = (item.size(0), cx.now(), self.side);
        if item.verb == Verb::OpenPath {
            return self.open_path(cx, link);
        }
        let live: Vec<PathInfo> = cx.connection().paths().filter(|path| path.state.is_live()).collect();
        let Some(path) = live.iter().find(|path| link_of(side, path) == Some(link)).map(|path| path.id)
        else {
            return;
        };
        let connection = cx.connection();
        let done = match item.verb {
            Verb::ClosePath => match connection.close_path(now, path, item.size(1)) {
                Err(ClosePathError::LastPath) if live.len() == 1 => return,
                Ok(()) if live.len() == 1 => {
                    return self
                        .board
                        .borrow_mut()
                        .wrong(format!("{path:?} was the only path and could be closed"));
                }
                done => done,
            },
            Verb::Standby => {
                let status = if item.number(1) == 0 { Status::Available } else { Status::Backup };
                connection.set_path_status(now, path, status)
            }
            _ => connection.ping_path(path),
        };
        // a connection that is over has paths and does nothing for them
        if let Err(why) = done
            && !connection.is_closed()
        {
            self.board.borrow_mut().wrong(format!("{:?} on {path:?}, which lives: {why}", item.verb));
        }
    }

    /// Opens a path on a link that has none, now or when the connection says that it may.
    fn open_path(&mut self, cx: &mut AppContext<'_>, link: u64) {
        let board = self.board.borrow();
        let (waits, links) = (board.unpathed.contains(&link), board.links);
        drop(board);
        let mut paths = cx.connection().paths().filter(|path| path.state.is_live());
        let there = paths.any(|path| link_of(0, &path) == Some(link));
        if waits || there || link >= links {
            return;
        }
        drop(paths);
        match Self::try_open(cx, link) {
            Ok(_) | Err(OpenPathError::Closed) => {}
            Err(why @ (OpenPathError::NotClient | OpenPathError::Forbidden)) => {
                self.board.borrow_mut().wrong(format!("no path on link {link}: {why}"));
            }
            Err(_) => self.board.borrow_mut().unpathed.push(link),
        }
    }

    pub(super) fn try_open(cx: &mut AppContext<'_>, link: u64) -> Result<tq_wire::PathId, OpenPathError> {
        let now = cx.now();
        let remote = address(1, link as usize, 0);
        let local = address(0, link as usize, 0).ip();
        cx.connection().open_path(now, link as u32, Some(local), remote)
    }

    pub(super) fn hear_path(&mut self, cx: &mut AppContext<'_>, event: PathEvent) {
        let (side, now) = (self.side, cx.now());
        let mut board = self.board.borrow_mut();
        if let Err(why) = board.paths[side].hear(now, event) {
            board.wrong(format!("{}: {why}", ["client", "server"][side]));
        }
        if event == PathEvent::MayOpen {
            let waiting = std::mem::take(&mut board.unpathed);
            drop(board);
            waiting.into_iter().for_each(|link| self.open_path(cx, link));
        }
    }
}
