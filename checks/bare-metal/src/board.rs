//! The board that QEMU emulates: a serial line in place of keypad and flash, a timer, and the stack.

use core::arch::{asm, global_asm};
use core::ptr::{read_volatile, write_volatile};

const UART: usize = 0x4000_c000;
const UART_FLAGS: usize = UART + 0x18;
const NOTHING_CAME: u32 = 1 << 4;

const CLOCK: usize = 0x400f_e060;
const TIMER: usize = 0xe000_e010;
const TIMER_MOST: u32 = 0x00ff_ffff;

/// What is left of the stack is filled with.
const PAINT: u32 = 0xdead_beef;

// The processor begins with the stack's top and the address of `reset`.
global_asm!(
    ".section .vectors, \"a\"",
    ".word reset",
    ".word fault",
    ".word fault",
    ".text",
    ".global reset",
    ".thumb_func",
    "reset:",
    "bl {main}",
    ".thumb_func",
    "fault:",
    "movs r0, #1",
    "bl {exit}",
    main = sym crate::main,
    exit = sym exit,
);

unsafe extern "C" {
    static stack_bottom: u32;
}

fn read(register: usize) -> u32 {
    // SAFETY: each caller names a register of the board.
    unsafe { read_volatile(core::ptr::with_exposed_provenance(register)) }
}

fn write(register: usize, value: u32) {
    // SAFETY: likewise.
    unsafe { write_volatile(core::ptr::with_exposed_provenance_mut(register), value) }
}

/// The next byte of the serial line.
pub(crate) fn receive() -> u8 {
    while read(UART_FLAGS) & NOTHING_CAME != 0 {}
    read(UART).to_be_bytes()[3]
}

pub(crate) fn send(bytes: &[u8]) {
    for byte in bytes {
        write(UART, u32::from(*byte));
    }
}

/// Begins to count: down from the most, a tick every five instructions when QEMU is told that each takes a
/// nanosecond.
pub(crate) fn start_timer() {
    // 200 MHz, the fastest the clock's divider goes.
    write(CLOCK, read(CLOCK) & !(0xf << 23));
    write(TIMER + 4, TIMER_MOST);
    write(TIMER + 8, 0);
    write(TIMER, 0b101);
}

/// Ticks since [`start_timer`], of which there are at most 16 million.
pub(crate) fn ticks() -> u32 {
    TIMER_MOST - read(TIMER + 8)
}

/// The first word of the stack that is in use.
#[inline(always)]
fn stack_top() -> *const u32 {
    let top;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) top) };
    top
}

/// Fills what is left of the stack. Whatever uses it later is seen.
#[inline(never)]
pub(crate) fn paint_stack() {
    let (mut word, top) = ((&raw const stack_bottom).cast_mut(), stack_top());
    while word.cast_const() < top {
        // SAFETY: below the top nothing is in use.
        unsafe { write_volatile(word, PAINT) };
        word = word.wrapping_add(1);
    }
}

/// How much of the stack was in use at most since it was painted, below where this is called.
#[inline(never)]
pub(crate) fn stack_painted_over() -> u32 {
    let (mut word, top) = (&raw const stack_bottom, stack_top());
    // SAFETY: all of this is stack.
    while word < top && unsafe { read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    u32::try_from(top.addr() - word.addr()).unwrap_or(u32::MAX)
}

/// Ends the emulation with a status: SYS_EXIT_EXTENDED of Arm's semihosting.
pub(crate) extern "C" fn exit(status: u32) -> ! {
    let arguments = [0x2_0026, status];
    // SAFETY: the debugger, here QEMU, reads the two words.
    unsafe { asm!("bkpt 0xab", in("r0") 0x20, in("r1") &raw const arguments) };
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(2)
}
