import { useLive } from '~/api/live'
import { ErrorBox, Page } from '~/parts'
import { Failures } from './failures'
import { Figures } from './figures'
import { First } from './first'
import { Newest } from './newest'
import { Spending } from './spending'
import { Throughput } from './throughput'
import classes from './home.module.css'

/** What goes on now, what went wrong, what it costs. */
export default function Home() {
  const { data: status, error } = useLive('/v1/status')
  const newest = useLive('/v1/job', { limit: 10 })
  const fresh = newest.data?.jobs.length === 0
  return (
    <Page title="Home">
      <ErrorBox error={status ? undefined : error} />
      {status?.warnings.map((one) => (
        <div key={one} role="alert" className={classes.warning}>
          {one}
        </div>
      ))}
      <Figures status={status} />
      {fresh ? (
        <First />
      ) : (
        <>
          <Throughput />
          <div className={classes.pair}>
            <Failures />
            <Spending />
          </div>
          <Newest jobs={newest.data?.jobs} error={newest.error} />
        </>
      )}
    </Page>
  )
}
