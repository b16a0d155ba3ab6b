//! The hosts and wires of a lab, made by `ip`.
//!
//! Decides addresses, routes and what a host's kernel must not do (offloads, reverse path filters). Every command
//! names one of the lab's own namespaces; the caller's is never changed. Removes what it made and nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tq_packet::{Device, Namespace};

use crate::names::{self, Host, LabName};

#[cfg(test)]
mod tests;

/// The settings of each host's kernel, below `/proc/sys/net`.
const SETTINGS: [(&str, &str); 10] = [
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    // Pings between routes with one address: nothing is redirected.
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/all/accept_redirects", "0"),
    // No chatter of the kernel's own on the links.
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
    // Buffers of TCP and MPTCP may grow to 64 MB: unlike links need more than the usual six.
    ("ipv4/tcp_rmem", "4096 131072 67108864"),
    ("ipv4/tcp_wmem", "4096 65536 67108864"),
];

/// The `ip -batch` lines for each host of a lab with `links` links. Wires first: their other ends lie in other hosts.
pub fn plan(lab: &LabName, links: usize) -> Vec<(Host, Vec<String>)> {
    let mut lines: BTreeMap<Host, Vec<String>> = BTreeMap::new();
    let mut add = |host: Host, line: String| lines.entry(host).or_default().push(line);
    let mut wire = |(host, device): (Host, &str), (peer, other): (Host, &str)| {
        let there = lab.namespace(peer);
        add(host, format!("link add {device} type veth peer name {other} netns {there}"));
    };
    wire((Host::Router, "lan0"), (Host::Lan, "eth0"));
    wire((Host::Server, "inet0"), (Host::Internet, "eth0"));
    for i in 0..links {
        let [user, net] = names::ends(i);
        wire((Host::Router, &names::wan(i)), (Host::Links, &user));
        wire((Host::Server, &names::wan(i)), (Host::Links, &net));
    }
    let mut address = |host: Host, device: &str, at: Ipv4Addr| {
        add(host, format!("addr add {at}/24 dev {device}"));
        add(host, format!("link set {device} up"));
    };
    address(Host::Lan, "eth0", names::LAN[0]);
    address(Host::Router, "lan0", names::LAN[1]);
    address(Host::Internet, "eth0", names::INTERNET[0]);
    address(Host::Server, "inet0", names::INTERNET[1]);
    for i in 0..links {
        address(Host::Router, &names::wan(i), names::user(i));
        address(Host::Server, &names::wan(i), names::network(i));
    }
    for i in 0..links {
        names::ends(i).iter().for_each(|end| add(Host::Links, format!("link set {end} up")));
        // What comes from a link's address leaves by that link, on both sides.
        let (table, wan) = (100 + i, names::wan(i));
        add(Host::Router, format!("route add default via {} dev {wan} table {table}", names::network(i)));
        add(Host::Router, format!("rule add from {} table {table}", names::user(i)));
        add(Host::Router, format!("route add default via {} dev {wan} metric {table}", names::network(i)));
        add(
            Host::Server,
            format!("route add {}/24 via {} dev {wan} metric {table}", names::LAN_NET, names::user(i)),
        );
    }
    add(Host::Lan, format!("route add default via {}", names::LAN[1]));
    add(Host::Internet, format!("route add default via {}", names::INTERNET[1]));
    Host::ALL.iter().for_each(|host| add(*host, "link set lo up".into()));
    let mut plan: Vec<_> = lines.into_iter().collect();
    // The hosts that begin wires go before those that only have ends.
    plan.sort_by_key(|(host, _)| !matches!(host, Host::Router | Host::Server));
    plan
}

/// Makes all of it. What was made when something fails is left for [`remove`].
pub fn make(lab: &LabName, links: usize) -> Result<()> {
    for host in Host::ALL {
        ip(&["netns", "add", &lab.namespace(host)])?;
    }
    for host in Host::ALL {
        inside(lab, host, settings)??;
    }
    for (host, lines) in plan(lab, links) {
        batch(&lab.namespace(host), &lines)?;
    }
    let ends = |i| names::ends(i).iter().try_for_each(|end| Device::named(end)?.plain());
    inside(lab, Host::Links, || (0..links).try_for_each(ends))?.context("cannot switch offloads off")?;
    for host in [Host::Router, Host::Server] {
        let card = |i| {
            let device = Device::named(&names::wan(i))?;
            device.plain()?;
            device.merging()
        };
        inside(lab, host, || (0..links).try_for_each(card))?.context("cannot set offloads")?;
    }
    Ok(())
}

/// A host's namespace, if it is not the one we are in ourselves.
pub fn namespace(lab: &LabName, host: Host) -> Result<Namespace> {
    let name = lab.namespace(host);
    let found = Namespace::named(&name).with_context(|| format!("there is no namespace {name}"))?;
    let own = found.id()? == Namespace::current()?.id()? || is_first(&found)?;
    ensure!(!own, "{name} is this machine's own network, not a lab's: nothing is done");
    Ok(found)
}

/// Whether it is the one that the machine's first process lives in.
fn is_first(namespace: &Namespace) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    // Unreadable without privileges over that process; then we cannot be in its namespace with any either.
    Ok(std::fs::metadata("/proc/1/ns/net")
        .is_ok_and(|data| namespace.id().is_ok_and(|id| id == (data.dev(), data.ino()))))
}

/// Runs `f` in a host.
pub fn inside<T: Send>(lab: &LabName, host: Host, f: impl FnOnce() -> T + Send) -> Result<T> {
    let name = lab.namespace(host);
    namespace(lab, host)?.run(f).with_context(|| format!("cannot enter {name}"))
}

/// The namespaces of a lab that exist.
pub fn existing(lab: &LabName) -> Vec<Host> {
    let there = |host: &Host| Path::new(Namespace::FOLDER).join(lab.namespace(*host)).exists();
    Host::ALL.into_iter().filter(there).collect()
}

/// Ends what runs in a lab's namespaces and removes them. Whether there was anything.
pub fn remove(lab: &LabName) -> Result<bool> {
    let found = existing(lab);
    for &host in &found {
        let name = lab.namespace(host);
        match namespace(lab, host) {
            Ok(_) => end_processes(&name)?,
            // A name without a namespace behind it, left by a crash: only the name is removed.
            Err(error) if error.downcast_ref::<std::io::Error>().is_some() => {}
            Err(error) => return Err(error),
        }
        ip(&["netns", "del", &name])?;
    }
    Ok(!found.is_empty())
}

/// Ends the processes of a namespace: asked first, then killed.
fn end_processes(name: &str) -> Result<()> {
    for signal in ["TERM", "KILL"] {
        let pids = output(&["netns", "pids", name])?;
        if pids.trim().is_empty() {
            break;
        }
        for pid in pids.split_whitespace() {
            // It may be gone by itself.
            crate::process::signal(pid.parse().context("ip netns pids")?, signal);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(())
}

fn settings() -> Result<()> {
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys/net").join(name);
        // A kernel without IPv6 has no settings for it.
        if path.exists() {
            std::fs::write(&path, value).with_context(|| format!("cannot set {}", path.display()))?;
        }
    }
    Ok(())
}

/// Lets MPTCP use all links: extra subflows from the router's other addresses.
pub fn allow_mptcp(lab: &LabName, links: usize) -> Result<()> {
    let limits = "mptcp limits set subflows 8 add_addr_accepted 8";
    for host in [Host::Router, Host::Server] {
        let name = lab.namespace(host);
        let words: Vec<_> = ["-n", &name].into_iter().chain(limits.split(' ')).collect();
        ip(&words).context("this kernel or this `ip` has no MPTCP")?;
    }
    let name = lab.namespace(Host::Router);
    for i in 1..links {
        let (at, wan) = (names::user(i).to_string(), names::wan(i));
        ip(&["-n", &name, "mptcp", "endpoint", "add", &at, "dev", &wan, "subflow"])?;
    }
    Ok(())
}

fn batch(namespace: &str, lines: &[String]) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ip")?;
    let mut input = child.stdin.take().context("ip has no input")?;
    input.write_all(lines.join("\n").as_bytes())?;
    input.write_all(b"\n")?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ip in {namespace}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn ip(words: &[&str]) -> Result<()> {
    output(words).map(drop)
}

fn output(words: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(words).output().context("cannot start ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
