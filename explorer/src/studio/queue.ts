// The queue as the studio tells it: jobs in order, kept up to date by its stream of events.

import { api, type Job } from "./api";

const OVER = ["done", "failed", "cancelled"];

export const isOver = (job: Job): boolean => OVER.includes(job.state);

export class Queue {
  paused = false;
  private order: string[] = [];
  private readonly known = new Map<string, Job>();

  /** `changed` is called with each job that is new or changed, or null after a change of order. */
  constructor(private readonly changed: (job: Job | null, before: Job | null) => void) {}

  /** Follow the events. The browser connects again by itself, and then all is sent once more. */
  follow(): void {
    const events = api.events();
    events.addEventListener("queue", (event) => {
      const { paused, order } = JSON.parse(event.data) as { paused: boolean; order: string[] | null };
      this.paused = paused;
      if (order !== null) this.order = order;
      this.changed(null, null);
    });
    events.addEventListener("job", (event) => {
      const job = JSON.parse(event.data) as Job;
      const before = this.known.get(job.id) ?? null;
      this.known.set(job.id, job);
      this.changed(job, before);
    });
  }

  /** Jobs in order. */
  get jobs(): Job[] {
    return this.order.flatMap((id) => this.known.get(id) ?? []);
  }

  /** Return the job that makes a song, or waits for that; null without one. */
  of(song: string): Job | null {
    return this.jobs.find((job) => job.song === song && !isOver(job)) ?? null;
  }

  /** Move a job up or down among those that are not over. */
  async move(job: Job, by: -1 | 1): Promise<void> {
    const waiting = this.jobs.filter((one) => !isOver(one));
    const other = waiting[waiting.findIndex((one) => one.id === job.id) + by];
    if (other !== undefined) await api.change(job.id, { position: this.order.indexOf(other.id) });
  }
}
