use crate::channel::Channel;
use millrace_calculator::Value;
use millrace_calculator::msgpack::{self, Item, Reader, unpack, write_list};
use millrace_calculator_host::frame::{FRAME_BYTES_MAX, Frame, FrameType, PROTOCOL};
use millrace_calculator_host::outcome::{Bytes, check_json, not_a_result, outcomes, threw};
use millrace_calculator_host::{LoadedCalculator, Origin};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

const SDK: &str = "native 0.1.0";
const CREDIT_ROWS: usize = 4096;
/// Results are gathered for as long, so that whoever waits knows how far the batch is.
const GATHER: Duration = Duration::from_millis(20);
/// Nobody can look into a call: it gets as many rows as take about as long, so that the host can see and stop it.
const CALL: Duration = Duration::from_millis(5);
const CALL_ROWS_MAX: usize = 512;
const RESULT_BYTES: usize = 1 << 20;
/// Leaves room for the other fields of a frame.
const OUTCOME_BYTES_MAX: usize = FRAME_BYTES_MAX - RESULT_BYTES - 1024;

pub struct Worker {
    channel: Channel,
    calculator: Option<LoadedCalculator>,
    is_stateful: bool,
    call_rows: usize,
    waiting: VecDeque<Frame>,
}

/// Outcomes that have not been sent.
#[derive(Default)]
struct Gathered {
    /// As much as a frame of its own takes, and of how many rows.
    full: Vec<(Vec<u8>, usize)>,
    bytes: Vec<u8>,
    n: usize,
    from: usize,
    has_failed: bool,
    has_drafts: bool,
}

impl Gathered {
    fn add(&mut self, outcome: &[u8]) {
        if self.bytes.len() > RESULT_BYTES {
            self.full.push((std::mem::take(&mut self.bytes), std::mem::take(&mut self.n)));
        }
        if outcome.len() > OUTCOME_BYTES_MAX {
            let why = format!("the result cannot be sent: it takes {} bytes, more than a frame holds", outcome.len());
            self.bytes.extend_from_slice(&not_a_result(&why));
            self.has_failed = true;
        } else {
            self.bytes.extend_from_slice(outcome);
        }
        self.n += 1;
    }
}

impl Worker {
    pub fn new(channel: Channel) -> Self {
        Self { channel, calculator: None, is_stateful: false, call_rows: 1, waiting: VecDeque::new() }
    }

    pub fn serve(&mut self) -> io::Result<()> {
        let hello = [("proto", PROTOCOL.into()), ("lang", "native".into()), ("sdk", SDK.into())];
        self.channel.send(FrameType::Hello, &Value::map(hello))?;
        while let Some(frame) = self.next()? {
            match frame.is {
                FrameType::Welcome => self.load(&frame)?,
                FrameType::Batch => self.batch(&frame)?,
                FrameType::Snapshot => self.snapshot(&frame)?,
                FrameType::Restore => self.restore(&frame)?,
                FrameType::Ping => self.pong(&frame)?,
                FrameType::Drain => {
                    return self.channel.send(FrameType::Bye, &Value::map([("reason", "drained".into())]));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Frame>> {
        if let Some(frame) = self.waiting.pop_front() {
            return Ok(Some(frame));
        }
        self.channel.receive()
    }

    fn load(&mut self, welcome: &Frame) -> io::Result<()> {
        let [file, export, graph, node] = ["file", "export", "graph", "node"].map(|name| value(welcome, name));
        let (file, export, graph, node) = (file?, export?, graph?, node?);
        let file = file.as_str().unwrap_or_default();
        let origin = Origin {
            file,
            config: raw(welcome, "config")?,
            graph: graph.as_str().unwrap_or_default(),
            node: node.as_str().unwrap_or_default(),
        };
        let loaded = match export.as_str() {
            Some(name) => Err(format!("a library holds one calculator; `{name}` cannot be chosen")),
            None => LoadedCalculator::open(&origin),
        };
        match loaded.and_then(|mut calculator| calculator.about().map(|about| (calculator, about))) {
            Err(why) => {
                let place = Value::map([("file", file.into())]);
                let refused = [("code", "CALC-LOAD".into()), ("msg", why.into()), ("place", place)];
                self.channel.send(FrameType::Refused, &Value::map(refused))
            }
            Ok((calculator, about)) => {
                self.calculator = Some(calculator);
                self.is_stateful = about.get("stateful").as_bool() == Some(true);
                let ready = [
                    ("name", origin.node.into()),
                    ("stateful", self.is_stateful.into()),
                    ("details", about.get("details").into()),
                    ("credit", Value::Int(CREDIT_ROWS as i64)),
                ];
                self.channel.send(FrameType::Ready, &Value::map(ready))
            }
        }
    }

    fn batch(&mut self, batch: &Frame) -> io::Result<()> {
        let (id, at) = (value(batch, "id")?, value(batch, "at")?.as_f64().unwrap_or(0.0));
        let rows = rows_of(raw(batch, "rows")?)?;
        let places = raw(batch, "payloads")?;
        let mut gathered = Gathered::default();
        let mut done = 0;
        let mut flushed = Instant::now();
        while done < rows.len() && !(self.is_stateful && gathered.has_failed) {
            let n = self.call_rows.min(rows.len() - done);
            let started = Instant::now();
            done += self.call(&rows[done..done + n], at, places, &mut gathered)?;
            self.adapt(started.elapsed(), n);
            if flushed.elapsed() >= GATHER || gathered.bytes.len() > RESULT_BYTES {
                self.result(&id, &mut gathered, false)?;
                flushed = Instant::now();
                if self.is_cancelled(&id)? {
                    break;
                }
            }
        }
        self.result(&id, &mut gathered, true)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.channel.send(FrameType::Credit, &Value::map([("rows", Value::Int(rows.len() as i64))]))
    }

    /// Rows that have an outcome now. A call that fails as a whole says nothing of which row is to blame: they go one at a
    /// time; where there is state to lose, in another process, which has that from before the batch.
    fn call(&mut self, rows: &[&[u8]], at: f64, places: &[u8], gathered: &mut Gathered) -> io::Result<usize> {
        let mut list = Vec::with_capacity(rows.iter().map(|row| row.len()).sum::<usize>() + 5);
        write_list(&mut list, rows.len());
        rows.iter().for_each(|row| list.extend_from_slice(row));
        let is_stateful = self.is_stateful;
        let calculator = self.calculator.as_mut().ok_or_else(|| io::Error::other("a batch before a welcome"))?;
        let why = match calculator.batch(&list, at, Some(places)) {
            Err(why) => threw(&why),
            Ok(answer) => match outcomes(answer, rows.len(), is_stateful) {
                Err(why) => not_a_result(&why),
                Ok(found) => {
                    gathered.has_failed |= found.last().is_some_and(|last| last.is_failure);
                    // Of a stateful one the outcomes behind a row that failed do not count.
                    let end = if is_stateful { found.iter().position(|one| one.is_failure) } else { None };
                    let counted = &found[..end.map_or(found.len(), |at| at + 1)];
                    gathered.has_failed |= end.is_some();
                    gathered.has_drafts |= counted.iter().any(|outcome| outcome.has_drafts);
                    counted.iter().for_each(|outcome| gathered.add(&outcome.bytes));
                    return Ok(counted.len());
                }
            },
        };
        if let [_] = rows {
            gathered.has_failed = true;
            gathered.add(&why);
            return Ok(1);
        }
        if is_stateful {
            let why = unpack(&why).unwrap_or_default();
            return Err(io::Error::other(why.get("msg").as_str().unwrap_or_default().to_owned()));
        }
        for row in rows {
            self.call(&[row], at, places, gathered)?;
        }
        Ok(rows.len())
    }

    fn adapt(&mut self, took: Duration, rows: usize) {
        if took > CALL {
            self.call_rows = (rows / 2).max(1);
        } else if took < CALL / 2 && rows == self.call_rows {
            self.call_rows = (rows * 2).min(CALL_ROWS_MAX);
        }
    }

    fn result(&mut self, id: &Value, gathered: &mut Gathered, is_end: bool) -> io::Result<()> {
        let (last, n) = (std::mem::take(&mut gathered.bytes), gathered.n);
        let has_drafts = gathered.has_drafts;
        for (bytes, n) in std::mem::take(&mut gathered.full) {
            (gathered.bytes, gathered.n, gathered.has_drafts) = (bytes, n, has_drafts);
            self.part(id, gathered, false)?;
        }
        (gathered.bytes, gathered.n, gathered.has_drafts) = (last, n, has_drafts);
        self.part(id, gathered, is_end)
    }

    fn part(&mut self, id: &Value, gathered: &mut Gathered, is_end: bool) -> io::Result<()> {
        let opens = self.calculator.as_ref().map_or(0, LoadedCalculator::take_opens);
        let has_drafts = std::mem::take(&mut gathered.has_drafts);
        let mut body = vec![0x84 + u8::from(opens > 0) + u8::from(has_drafts)];
        let mut field = |name: &str, value: &Value| {
            msgpack::write(&mut body, &name.into());
            msgpack::write(&mut body, value);
        };
        field("id", id);
        field("from", &Value::Int(gathered.from as i64));
        field("end", &is_end.into());
        if opens > 0 {
            field("opens", &Value::Int(opens as i64));
        }
        if has_drafts {
            field("drafts", &true.into());
        }
        msgpack::write(&mut body, &"out".into());
        write_list(&mut body, gathered.n);
        body.extend_from_slice(&gathered.bytes);
        gathered.from += gathered.n;
        gathered.n = 0;
        gathered.bytes.clear();
        self.channel.send_packed(FrameType::Result, &body)
    }

    /// Looks at what has arrived meanwhile; what is not urgent is kept for later.
    fn is_cancelled(&mut self, batch: &Value) -> io::Result<bool> {
        let mut is_cancelled = false;
        while let Some(frame) = self.channel.poll()? {
            match frame.is {
                FrameType::Cancel => is_cancelled |= value(&frame, "id")? == *batch,
                FrameType::Ping => self.pong(&frame)?,
                _ => self.waiting.push_back(frame),
            }
        }
        Ok(is_cancelled)
    }

    fn pong(&mut self, ping: &Frame) -> io::Result<()> {
        self.channel.send(FrameType::Pong, &Value::map([("n", value(ping, "n")?)]))
    }

    fn snapshot(&mut self, frame: &Frame) -> io::Result<()> {
        let id = value(frame, "id")?;
        let mut body = vec![0x82];
        msgpack::write(&mut body, &"id".into());
        msgpack::write(&mut body, &id);
        msgpack::write(&mut body, &"state".into());
        match self.calculator.as_mut().filter(|_| self.is_stateful) {
            None => body.push(0xc0),
            Some(calculator) => {
                let state = calculator.snapshot().map_err(io::Error::other)?;
                let mut reader = Reader::new(state);
                check_json(&mut reader, "", Bytes::InStates, 0)
                    .map_err(|why| io::Error::other(format!("the state is not JSON: {why}")))?;
                body.extend_from_slice(state);
            }
        }
        self.channel.send_packed(FrameType::State, &body)
    }

    fn restore(&mut self, frame: &Frame) -> io::Result<()> {
        let state = raw(frame, "state")?;
        if let Some(calculator) = self.calculator.as_mut() {
            calculator.restore((state != [0xc0]).then_some(state)).map_err(io::Error::other)?;
        }
        self.channel.send(FrameType::State, &Value::map([("id", Value::Int(0)), ("state", Value::Nil)]))
    }
}

fn raw<'a>(frame: &'a Frame, name: &str) -> io::Result<&'a [u8]> {
    frame.field(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

fn value(frame: &Frame, name: &str) -> io::Result<Value> {
    unpack(raw(frame, name)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn rows_of(list: &[u8]) -> io::Result<Vec<&[u8]>> {
    let mut reader = Reader::new(list);
    let Ok(Item::List(n)) = reader.item() else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a batch without rows"));
    };
    (0..n).map(|_| reader.skip().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))).collect()
}
