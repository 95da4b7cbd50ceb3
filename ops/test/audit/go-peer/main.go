// Checks what Millrace publishes of a log with an implementation that shares nothing with it: the packages behind Go's checksum
// database. Usage: audit-peer DIRECTORY VERIFIER_KEY OLD_CHECKPOINT CONSISTENCY_PROOF INCLUSION_PROOF...
package main

import (
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Tiles of 256 hashes, as tlog-tiles has them.
const height = 8

func main() {
	log.SetFlags(0)
	if len(os.Args) < 5 {
		log.Fatal("usage: audit-peer DIRECTORY VERIFIER_KEY OLD_CHECKPOINT CONSISTENCY_PROOF INCLUSION_PROOF...")
	}
	directory, key := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(key)
	must(err)
	tree := openCheckpoint(read(filepath.Join(directory, "checkpoint")), verifier)
	old := openCheckpoint(read(os.Args[3]), verifier)
	hashes := tlog.TileHashReader(tree, tiles(directory))
	checkConsistency(tree, old, read(os.Args[4]), hashes)
	for _, path := range os.Args[5:] {
		checkInclusion(tree, read(path), hashes)
	}
}

func openCheckpoint(text string, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatalf("this is no checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	return tlog.Tree{N: size, Hash: hashOf(lines[2])}
}

func checkConsistency(tree, old tlog.Tree, text string, hashes tlog.HashReader) {
	lines := strings.Split(text, "\n")
	if lines[0] != fmt.Sprintf("old %d", old.N) {
		log.Fatalf("this is no proof from %d records: %q", old.N, lines[0])
	}
	var given tlog.TreeProof
	for _, line := range lines[1:] {
		if line == "" {
			break
		}
		given = append(given, hashOf(line))
	}
	must(tlog.CheckTree(given, tree.N, tree.Hash, old.N, old.Hash))
	own, err := tlog.ProveTree(tree.N, old.N, hashes)
	must(err)
	if fmt.Sprint(own) != fmt.Sprint(given) {
		log.Fatal("another proof of consistency comes out of the tiles")
	}
	fmt.Printf("consistent: %d records are the beginning of %d\n", old.N, tree.N)
}

// checkInclusion checks a proof in the format of tlog-proof whose extra data is the entry.
func checkInclusion(tree tlog.Tree, text string, hashes tlog.HashReader) {
	lines := strings.Split(text, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		log.Fatalf("this is no proof of inclusion: %q", lines[:3])
	}
	entry, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
	must(err)
	index, err := strconv.ParseInt(lines[2][len("index "):], 10, 64)
	must(err)
	var given tlog.RecordProof
	for _, line := range lines[3:] {
		if line == "" {
			break
		}
		given = append(given, hashOf(line))
	}
	must(tlog.CheckRecord(given, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	own, err := tlog.ProveRecord(tree.N, index, hashes)
	must(err)
	if fmt.Sprint(own) != fmt.Sprint(given) {
		log.Fatalf("another proof of position %d comes out of the tiles", index)
	}
	fmt.Printf("included: position %d of %d\n", index, tree.N)
}

// tiles reads tiles as they lie on the disk; the packages' own paths have the height in them.
type tiles string

func (directory tiles) Height() int { return height }

func (directory tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		bytes, err := os.ReadFile(filepath.Join(string(directory), filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		data[i] = bytes
	}
	return data, nil
}

func (directory tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func hashOf(text string) tlog.Hash {
	hash, err := tlog.ParseHash(text)
	must(err)
	return hash
}

func read(path string) string {
	bytes, err := os.ReadFile(path)
	must(err)
	return string(bytes)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
