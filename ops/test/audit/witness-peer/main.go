// The other side of cosigning, by implementations that share nothing with Millrace: makes a log known to litewitness, whose own
// tool for that is not published as a module by itself, and opens cosigned checkpoints with transparency-dev's verifier.
//
//	witness-peer add-log DATABASE LOG_VERIFIER_KEY
//	witness-peer open CHECKPOINT LOG_VERIFIER_KEY WITNESS_VERIFIER_KEY...
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"os"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == "add-log" {
		addLog(os.Args[2], os.Args[3])
	} else if len(os.Args) >= 4 && os.Args[1] == "open" {
		open(os.Args[2], os.Args[3], os.Args[4:])
	} else {
		log.Fatal("usage: witness-peer add-log DATABASE LOG_KEY | witness-peer open CHECKPOINT LOG_KEY WITNESS_KEY...")
	}
}

// addLog fills the tables that litewitness has made.
func addLog(path, key string) {
	verifier, err := note.NewVerifier(key)
	must(err)
	database, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	must(err)
	defer database.Close()
	empty := sha256.Sum256(nil)
	root := base64.StdEncoding.EncodeToString(empty[:])
	insert := func(query string, args ...any) {
		must(sqlitex.Execute(database, query, &sqlitex.ExecOptions{Args: args}))
	}
	insert("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", verifier.Name(), root)
	insert("INSERT INTO key (origin, key) VALUES (?, ?)", verifier.Name(), key)
}

// open says who has cosigned; all that are named must have.
func open(path, key string, witnesses []string) {
	bytes, err := os.ReadFile(path)
	must(err)
	origin, err := note.NewVerifier(key)
	must(err)
	verifiers := []note.Verifier{origin}
	for _, key := range witnesses {
		witness, err := formats.NewVerifierForCosignatureV1(key)
		must(err)
		verifiers = append(verifiers, witness)
	}
	opened, err := note.Open(bytes, note.VerifierList(verifiers...))
	must(err)
	tree, err := parse(opened.Text, origin.Name())
	must(err)
	if len(opened.Sigs) != len(verifiers) {
		log.Fatalf("%d of %d have signed", len(opened.Sigs), len(verifiers))
	}
	for _, signature := range opened.Sigs[1:] {
		at, err := formats.CoSigV1Timestamp(signature)
		must(err)
		fmt.Printf("cosigned: %d records by %s at %d\n", tree, signature.Name, at.Unix())
	}
}

func parse(text, origin string) (int64, error) {
	var found, root string
	var size int64
	if _, err := fmt.Sscanf(text, "%s\n%d\n%s\n", &found, &size, &root); err != nil {
		return 0, err
	}
	if found != origin {
		return 0, fmt.Errorf("the checkpoint is of %s", found)
	}
	_, err := tlog.ParseHash(root)
	return size, err
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
