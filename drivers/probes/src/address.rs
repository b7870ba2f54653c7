//! PCI addresses in one spelling.

use std::fmt;

/// A function of a PCI device. Written `dddd:bb:dd.f`, as Linux does; domains beyond 16 bits (Intel VMD) take more digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    domain: u32,
    /// The bus.
    pub(crate) bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// The address of these parts; `None` when one is beyond what PCI has or all are 0, which is the host's bridge.
    pub(crate) fn new(domain: u32, bus: u32, device: u32, function: u32) -> Option<Self> {
        let fits = device < 32 && function < 8 && (domain, bus, device, function) != (0, 0, 0, 0);
        Some(Self {
            domain,
            bus: u8::try_from(bus).ok()?,
            device: u8::try_from(device).ok().filter(|_| fits)?,
            function: u8::try_from(function).ok()?,
        })
    }

    /// Reads `0000:01:00.0`, `00000000:01:00.0` or `01:00.0`, in either case of letters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (front, function) = text.trim().rsplit_once('.')?;
        let mut parts = front.rsplit(':');
        let hexadecimal = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(part, 16).ok().filter(|_| plain)
        };
        let device = hexadecimal(parts.next()?)?;
        let bus = hexadecimal(parts.next()?)?;
        let domain = parts.next().map_or(Some(0), hexadecimal)?;
        if parts.next().is_some() {
            return None;
        }
        Self::new(domain, bus, device, hexadecimal(function)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_is_one_address() {
        for text in ["0000:C1:00.0", "00000000:c1:00.0", "c1:00.0", " 0000:c1:00.0\n"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), "0000:c1:00.0");
        }
        for text in [
            "",
            ".",
            "c1.0",
            "0:0:0:c1:00.0",
            "c1:20.0",
            "c1:00.8",
            "+1:00.0",
            "00:00.0",
            "100:00.0",
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(domain: u32, bus in 0..256_u32, device in 0..32_u32, function in 0..8_u32) {
            if let Some(address) = Address::new(domain, bus, device, function) {
                prop_assert_eq!(Address::parse(&address.to_string()), Some(address));
            }
        }

        #[test]
        fn any_text_is_an_answer(text in ".{0,30}") {
            if let Some(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Some(address));
            }
        }
    }
}
