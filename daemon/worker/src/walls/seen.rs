//! Walls that somebody else has built, as a process sees them: `/proc/self`.

use mains_wire::frames::Wall;

use super::wall;

/// Reads what the kernel says of this process.
pub(super) fn walls() -> Vec<Wall> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let status = read("/proc/self/status");
    let devices = read("/proc/self/net/dev");
    let field = |name: &'static str, wanted: &str| {
        let status = status.as_ref().map_err(Clone::clone)?;
        match field(status, name) {
            Some(value) if value == wanted => Ok(()),
            Some(value) => Err(format!("{name} is {value}")),
            None => Err(format!("the kernel does not tell {name}")),
        }
    };
    vec![
        wall("no-new-privileges", field("NoNewPrivs", "1")),
        wall("seccomp", field("Seccomp", "2")),
        wall("capabilities", field("CapBnd", NO_CAPABILITIES)),
        wall(
            "private-network",
            devices.and_then(|devices| match foreign_interface(&devices) {
                None => Ok(()),
                Some(name) => Err(format!("it sees the network interface {name}")),
            }),
        ),
    ]
}

/// The bounding set of a process that can never get a capability.
const NO_CAPABILITIES: &str = "0000000000000000";

/// The value of a line of `/proc/self/status` (proc_pid_status(5)).
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

/// An interface other than the loopback in `/proc/net/dev` (proc_pid_net(5)): two lines of heading, then one each.
fn foreign_interface(devices: &str) -> Option<&str> {
    let names = devices.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim()).find(|name| *name != "lo")
}

#[cfg(test)]
mod tests {
    use super::{field, foreign_interface};

    #[test]
    fn reads_the_kernels_words() {
        let status = "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";
        assert_eq!(field(status, "NoNewPrivs"), Some("1"));
        assert_eq!(field(status, "Seccomp"), Some("2"));
        assert_eq!(field(status, "CapBnd"), None);
        let heading = "Inter-| Receive\n face |bytes\n";
        assert_eq!(foreign_interface(&format!("{heading}    lo: 0 0\n")), None);
        assert_eq!(
            foreign_interface(&format!("{heading}    lo: 0\n  eth0: 0\n")),
            Some("eth0")
        );
    }
}
