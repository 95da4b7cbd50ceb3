/** Users and operations, asked for with the messages of a published client: what means something here is done, the rest says why not. */
import { type ClientHttp2Session, connect } from "node:http2";
import * as operations from "@eventstore/db-client/generated/operations_pb.js";
import { Empty } from "@eventstore/db-client/generated/shared_pb.js";
import * as users from "@eventstore/db-client/generated/users_pb.js";
import { afterEach, describe, expect, it } from "vitest";
import { ask, frame } from "./raw-call.ts";
import { serveLog } from "./served-log.ts";

const opened: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function reach(token?: string): Promise<ClientHttp2Session> {
  const served = await serveLog("memory", token === undefined ? {} : { token });
  opened.push(() => served.close());
  const session = connect(`http://${served.address}`);
  opened.push(() => session.destroy());
  return session;
}

const USERS = "/event_store.client.users.Users";
const OPERATIONS = "/event_store.client.operations.Operations";
const TOKEN = { authorization: `Basic ${Buffer.from("admin:secret").toString("base64")}` };

function detailsOf(name: string | undefined): Buffer {
  const request = new users.DetailsReq();
  if (name !== undefined) {
    const options = new users.DetailsReq.Options();
    options.setLoginName(name);
    request.setOptions(options);
  }
  return frame(request.serializeBinary());
}

describe("users", () => {
  it.each([
    [undefined, {}, "local"],
    ["secret", TOKEN, "token"],
  ])("are the one principal there is, with the token %s", async (token, headers, login) => {
    const session = await reach(token);
    for (const name of [undefined, login]) {
      const { status, body } = await ask(session, `${USERS}/Details`, detailsOf(name), headers);
      expect(status).toBe(0);
      const user = users.DetailsResp.deserializeBinary(body.subarray(5)).getUserDetails();
      expect([user?.getLoginName(), user?.getGroupsList(), user?.getDisabled()]).toEqual([login, ["$admins"], false]);
    }
    const missing = await ask(session, `${USERS}/Details`, detailsOf("ouro"), headers);
    expect(missing).toMatchObject({ status: 5, code: "EVENTSTORE-USER-MISSING" });
    expect(missing.trailers).toMatchObject({ exception: "user-not-found", "login-name": "ouro" });
  });

  it.each(["Create", "Update", "Delete", "Disable", "Enable", "ChangePassword", "ResetPassword"])(
    "%s is refused, and never a success",
    async (method) => {
      const session = await reach();
      const outcome = await ask(session, `${USERS}/${method}`, frame(Buffer.alloc(0)));
      expect(outcome).toMatchObject({ status: 9, code: "EVENTSTORE-USERS", body: Buffer.alloc(0) });
      expect(outcome.message).toContain(method);
    },
  );
});

describe("operations", () => {
  const scavenge = new operations.StartScavengeReq();
  scavenge.setOptions(new operations.StartScavengeReq.Options());
  it.each([
    ["StartScavenge", scavenge.serializeBinary(), 12, /log prune/],
    ["StopScavenge", new operations.StopScavengeReq().serializeBinary(), 12, /under way/],
    ["MergeIndexes", new Empty().serializeBinary(), 12, /nothing to merge/],
    ["Shutdown", new Empty().serializeBinary(), 12, /where it was started/],
    ["ResignNode", new Empty().serializeBinary(), 9, /no other node/],
    ["SetNodePriority", new operations.SetNodePriorityReq().serializeBinary(), 9, /no other node/],
  ])("%s says why not", async (method, bytes, status, message) => {
    const session = await reach();
    const outcome = await ask(session, `${OPERATIONS}/${method}`, frame(bytes));
    expect(outcome).toMatchObject({ status, message: expect.stringMatching(message) });
    const features = await ask(
      session,
      "/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
      frame(Buffer.alloc(0)),
    );
    expect(features.body.toString()).not.toContain(method.toLowerCase());
    expect(features.body.toString()).toContain("restartpersistentsubscriptions");
  });

  it("RestartPersistentSubscriptions is done", async () => {
    const session = await reach();
    const restart = await ask(session, `${OPERATIONS}/RestartPersistentSubscriptions`, frame(Buffer.alloc(0)));
    expect(restart).toMatchObject({ status: 0, body: frame(Buffer.alloc(0)) });
  });

  it("are nobody's without the token", async () => {
    const session = await reach("secret");
    for (const method of ["StartScavenge", "ResignNode", "RestartPersistentSubscriptions"])
      expect(await ask(session, `${OPERATIONS}/${method}`, frame(Buffer.alloc(0)))).toMatchObject({ status: 7 });
    expect(await ask(session, `${USERS}/Details`, detailsOf(undefined))).toMatchObject({ status: 7 });
  });
});
