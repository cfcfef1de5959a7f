package build

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// elfFile is a program or library as far as its loader's name (none when empty) and the names of the libraries that it needs
// go: nothing of it could run.
func elfFile(loader string, needed ...string) string {
	names := []byte{0} // of the libraries
	var dynamic bytes.Buffer
	entry := func(tag elf.DynTag, value int) {
		_ = binary.Write(&dynamic, binary.LittleEndian, elf.Dyn64{Tag: int64(tag), Val: uint64(value)})
	}
	for _, library := range needed {
		entry(elf.DT_NEEDED, len(names))
		names = append(append(names, library...), 0)
	}
	entry(elf.DT_NULL, 0)

	sectionNames := []byte{0}
	headerSize := binary.Size(elf.Header64{})
	content := bytes.NewBuffer(make([]byte, headerSize))
	sections := []elf.Section64{{}}
	add := func(name string, kind elf.SectionType, data []byte, link int) {
		sections = append(sections, elf.Section64{
			Name: uint32(len(sectionNames)), Type: uint32(kind), Off: uint64(content.Len()), Size: uint64(len(data)), Link: uint32(link), Addralign: 1,
		})
		sectionNames = append(append(sectionNames, name...), 0)
		content.Write(data)
	}
	add(".dynstr", elf.SHT_STRTAB, names, 0)
	if loader != "" {
		add(".interp", elf.SHT_PROGBITS, append([]byte(loader), 0), 0)
	}
	if len(needed) > 0 {
		add(".dynamic", elf.SHT_DYNAMIC, dynamic.Bytes(), 1)
	}
	// The table of names holds its own, so that name is added first.
	own := len(sectionNames)
	sectionNames = append(append(sectionNames, ".shstrtab"...), 0)
	sections = append(sections, elf.Section64{Name: uint32(own), Type: uint32(elf.SHT_STRTAB), Off: uint64(content.Len()), Size: uint64(len(sectionNames)), Addralign: 1})
	content.Write(sectionNames)

	header := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Shoff: uint64(content.Len()),
		Ehsize: uint16(headerSize), Shentsize: uint16(binary.Size(elf.Section64{})), Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1),
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	_ = binary.Write(content, binary.LittleEndian, sections)
	var start bytes.Buffer
	_ = binary.Write(&start, binary.LittleEndian, header)
	whole := content.Bytes()
	copy(whole, start.Bytes())
	return string(whole)
}
