//! How DCMI is started and lists its processors.

use super::sys::{Card, Chip, DieId, Question};
use crate::library::call::{Handle, invoke};
use crate::library::open::{Library, Refused, check};
use crate::library::vendor::{Handles, MAX_DEVICES, Started, plain};

/// A library of the second generation has this; the first generation's functions are left alone then.
pub(super) const SECOND: &str = "dcmiv2_init";

/// `dcmi_init`, then the chips of every card.
pub(super) fn start_cards(library: &Library) -> Result<Started<Card>, Refused> {
    if library.symbol(SECOND).is_some() {
        return Ok(Handles::new().into());
    }
    // SAFETY: `int dcmi_init(void)`.
    unsafe { plain(library, &["dcmi_init"])? };
    // SAFETY: `dcmi_get_card_list(int *, int *, int)`.
    let cards = unsafe { list(library, "dcmi_get_card_list")? };
    let chips = library.need("dcmi_get_device_num_in_card")?;
    let mut handles: Handles<Card> = Vec::new();
    for card in cards {
        let mut count = 0_i32;
        // SAFETY: `dcmi_get_device_num_in_card(int, int *)`.
        let code = unsafe { invoke!(chips, card => i32, &raw mut count => *mut i32) };
        if let Err(refused) = check("dcmi_get_device_num_in_card", code) {
            handles.push(Err(refused));
            continue;
        }
        let chips = (0..count.min(MAX_DEVICES.cast_signed())).map(|device| Card { card, device });
        handles.extend(chips.filter_map(|chip| match computes(library, chip) {
            Ok(computes) => computes.then_some(Ok(chip)),
            Err(refused) => Some(Err(refused)),
        }));
    }
    Ok(handles.into())
}

/// `dcmiv2_init`, then every processor.
pub(super) fn start_chips(library: &Library) -> Result<Started<Chip>, Refused> {
    if library.symbol(SECOND).is_none() {
        return Ok(Handles::new().into());
    }
    // SAFETY: `int dcmiv2_init(void)`.
    unsafe { plain(library, &[SECOND])? };
    // SAFETY: `dcmiv2_get_device_list(int *, int *, int)`.
    let chips = unsafe { list(library, "dcmiv2_get_device_list")? };
    let handles: Handles<Chip> = chips.into_iter().map(|chip| Ok(Chip(chip))).collect();
    Ok(handles.into())
}

/// The driver's version.
pub(super) fn version(library: &Library, name: &str) -> Option<String> {
    // SAFETY: `dcmi_get_driver_version(char *, unsigned)`.
    unsafe { library.text(name) }
}

/// Whether a chip is a processor for models: a card's controller and its own CPU are chips too.
fn computes(library: &Library, chip: Card) -> Result<bool, Refused> {
    const NAME: &str = "dcmi_get_device_type";
    let Some(function) = library.symbol(NAME) else {
        return Ok(true);
    };
    let mut kind = 0_i32;
    // SAFETY: `dcmi_get_device_type(int, int, enum *)`, an enumeration of 32 bits.
    let code = unsafe { chip.call(function, Question::Out, (&raw mut kind).cast(), 4) };
    check(NAME, code).map(|()| kind == 0)
}

/// The health code of a chip: 0 is well.
pub(super) fn health<H: Handle<Shape = Question>>(library: &Library, name: &str, chip: H) -> Option<u32> {
    let function = library.symbol(name)?;
    let mut health = 0_u32;
    // SAFETY: `(device, unsigned *)`.
    let code = unsafe { chip.call(function, Question::Out, (&raw mut health).cast(), 4) };
    (code == 0).then_some(health)
}

/// The identity of a chip's die, as device plugins write it: words in hexadecimal, joined.
pub(super) fn die<H: Handle<Shape = Question>>(library: &Library, name: &str, chip: H) -> Option<String> {
    /// The die that is stable over firmware updates (VDIE).
    const VDIE: i32 = 1;
    let function = library.symbol(name)?;
    let mut words = DieId::default();
    // SAFETY: `(device, enum, dcmi_die_id *)`.
    let code = unsafe { chip.call(function, Question::Choice(VDIE), (&raw mut words).cast(), 20) };
    let text = words.map(|word| format!("{word:08X}")).join("-");
    (code == 0 && words != DieId::default()).then_some(text)
}

/// The numbers that `name(int *count, int *list, int length)` writes.
///
/// # Safety
/// The library's function of that name has this signature.
unsafe fn list(library: &Library, name: &'static str) -> Result<Vec<i32>, Refused> {
    let function = library.need(name)?;
    let mut numbers = [0_i32; MAX_DEVICES as usize];
    let mut count = 0_i32;
    let length = MAX_DEVICES.cast_signed();
    // SAFETY: as the caller promises; the list has room for its length.
    let code = unsafe {
        invoke!(function, &raw mut count => *mut i32, numbers.as_mut_ptr() => *mut i32, length => i32)
    };
    check(name, code)?;
    Ok(numbers
        .into_iter()
        .take(usize::try_from(count).unwrap_or(0))
        .collect())
}
