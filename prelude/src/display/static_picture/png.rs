//! A small PNG writer: eight-bit palette pictures, stored without compression.
//!
//! A heat map has at most as many cells as the picture has pixels, so that a compressor would save
//! less than it costs to depend on.

/// A PNG of `width × height` palette indices; the palette is `[red, green, blue, alpha]`.
///
/// `pixels` must hold `width * height` indices, and the palette at most 256 colours.
pub(super) fn encode(width: u32, height: u32, palette: &[[u8; 4]], pixels: &[u8]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Eight bits, palette, the only compression and filter methods, not interlaced.
    header.extend_from_slice(&[8, 3, 0, 0, 0]);
    chunk(&mut png, *b"IHDR", &header);
    let colours: Vec<u8> = palette
        .iter()
        .flat_map(|colour| [colour[0], colour[1], colour[2]])
        .collect();
    chunk(&mut png, *b"PLTE", &colours);
    let alphas: Vec<u8> = palette.iter().map(|colour| colour[3]).collect();
    chunk(&mut png, *b"tRNS", &alphas);
    let mut rows = Vec::with_capacity(pixels.len() + height as usize);
    for row in pixels.chunks(width.max(1) as usize) {
        rows.push(0);
        rows.extend_from_slice(row);
    }
    chunk(&mut png, *b"IDAT", &zlib(&rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

#[allow(clippy::cast_possible_truncation)]
fn chunk(png: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    png.extend_from_slice(&(content.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend_from_slice(&kind);
    png.extend_from_slice(content);
    let check = crc32(&png[start..]);
    png.extend_from_slice(&check.to_be_bytes());
}

/// A zlib stream of stored blocks.
#[allow(clippy::cast_possible_truncation)]
fn zlib(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = content.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(content).to_be_bytes());
    out
}

fn adler32(content: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for &byte in content {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

fn crc32(content: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in content {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_known_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_has_its_parts_in_order() {
        let png = encode(2, 1, &[[0, 0, 0, 255], [255, 0, 0, 0]], &[0, 1]);
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let text = String::from_utf8_lossy(&png);
        let at = |name| text.find(name).expect("a chunk");
        assert!(at("IHDR") < at("PLTE") && at("PLTE") < at("tRNS"));
        assert!(at("tRNS") < at("IDAT") && at("IDAT") < at("IEND"));
    }
}
