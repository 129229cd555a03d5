//! Contents of sources: small, valid or invalid, each distinguished by a text.

use bytes::Bytes;

/// The CSV of a user.
pub(crate) fn csv(last_name: &str) -> Bytes {
    format!("first_name,last_name,birthts\nAda,{last_name},1\n").into()
}

/// A declaration of the same sources, with this type of birth times.
pub(crate) fn declaration(birth_type: &str) -> Bytes {
    format!(
        "source.key = 'src-data/{{id}}.csv'\n[columns]\nlast_name = 'string'\nbirthts = '{birth_type}'\n[files.image]\n\
         key = 'src-data/{{id}}.png'\ntypes = ['image/png']\ncopy_to = 'processed_data/images/{{id}}.png'\n\
         [derived]\nhas_image = 'has(image)'\n"
    )
    .into()
}

/// A CSV that every run rejects.
pub(crate) fn broken_csv(content: &str) -> Bytes {
    format!("first_name;last_name\n{content}\n").into()
}

/// A valid PNG.
pub(crate) fn png(content: &str) -> Bytes {
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0];
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let checked = [kind.as_slice(), content].concat();
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
        [length.as_slice(), &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
    };
    let image = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"tEXt", content.as_bytes()),
        // One black pixel.
        chunk(b"IDAT", b"\x78\x01\x01\x04\0\xfb\xff\0\0\0\0\0\x04\0\x01"),
        chunk(b"IEND", b""),
    ];
    image.concat().into()
}

/// An image that every run rejects.
pub(crate) fn broken_png(content: &str) -> Bytes {
    format!("not an image: {content}").into()
}
