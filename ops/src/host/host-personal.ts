/** The keys of personal values of a host. Graphs are compiled before a host opens its data, so what they get is this object. */
import {
  type GraphModel,
  invariant,
  PersonalIntake,
  type Revelation,
  type SubjectKeys,
  streamOf,
} from "@millrace/engine";

export class HostPersonal {
  #keys: SubjectKeys | undefined;

  open(keys: SubjectKeys): void {
    this.#keys = keys;
  }

  get keys(): SubjectKeys {
    invariant(this.#keys !== undefined, "graphs run after their host has opened");
    return this.#keys;
  }

  readonly revelation = (): Revelation => this.keys.revelation();

  /** Where messages of a source with personal fields enter; `undefined` for any other node. */
  intakeOf({ name, nodes }: GraphModel, node: string): PersonalIntake | undefined {
    const model = nodes.get(node);
    const personal = model?.kind === "source" ? model.definition.personal : undefined;
    return personal === undefined ? undefined : new PersonalIntake(() => this.keys, personal, streamOf(name, node));
  }
}
