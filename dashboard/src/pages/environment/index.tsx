import { Badge } from '@mantine/core'
import { useLive } from '~/api/live'
import { useSubject } from '~/layout/routes'
import { Ago, Bytes, Count, ErrorBox, Page, Section, Snippet, Tile, Tiles, useQuery, useWho } from '~/parts'
import { ApiError } from '~/api/error'
import { quoted } from '~/parts/files/names'
import { Packages } from '../environments/packages'
import { type Environment, State } from '../environments/states'
import { Actions } from './actions'
import { Latest } from './jobs'
import { BuildLog } from './log'
import { Setup } from './setup'
import { Versions } from './versions'

const CRUMBS = [{ title: 'Environments', href: '/environments' }]

/** An environment: its state, its setup server, its versions, what is installed. */
export default function Environment() {
  const name = useSubject()
  const [{ owner }] = useQuery('owner')
  const { data, error } = useLive('/v1/environment', owner ? { public: true } : { name })
  const one = data?.environments.find((one) => one.name === name && (!owner || one.owner === owner))
  const missing = data && !one ? new ApiError({ message: `there is no public environment /${owner}/${name}`, hint: 'perhaps it is not public any more' }, 404) : undefined
  const { scopes, account } = useWho()
  const mine = !owner || owner === account
  const may = scopes.includes('code')
  return (
    <Page
      title={owner ? `/${owner}/${name}` : name}
      crumbs={CRUMBS}
      about={one?.description}
      beside={
        one && (
          <>
            <State one={one} />
            {one.public && mine && (
              <Badge variant="light" color="gray" tt="none">
                public as {one.path}
              </Badge>
            )}
          </>
        )
      }
      actions={one && may && <Actions key={one.name} one={one} mine={mine} />}
    >
      <ErrorBox error={one ? undefined : (error ?? missing)} />
      {one && <Whole one={one} path={owner ? one.path : one.name} mine={mine && may} />}
    </Page>
  )
}

function Whole({ one, path, mine }: { one: Environment; path: string; mine: boolean }) {
  const { scopes } = useWho()
  return (
    <>
      {one.trouble && <ErrorBox error={new ApiError({ message: one.trouble, hint: one.setup_jid ? 'put it right and save again' : 'edit it to start another setup server' }, 0)} />}
      {mine && <BuildLog one={one} />}
      {mine && one.setup_jid !== null && <Setup one={one} jid={one.setup_jid} />}
      <Tiles>
        <Tile title="Base" value={one.base.replace('base/', '')} note="what it begins with" />
        <Tile title="Size" value={<Bytes value={one.size} />} note="compressed, without the base" />
        <Tile title="Versions" value={<Count value={one.versions} />} note={one.version === null ? 'jobs cannot use it yet' : 'jobs use the newest'} />
        <Tile title="Modified" value={<Ago at={one.modified} />} />
      </Tiles>
      {one.version !== null && (
        <Section title="Use it">
          <Snippet code={`cloud.call(function, _env=${JSON.stringify(path)})\n\n# or any program\npicloud exec -e ${quoted(path)} 'pip list'`} />
        </Section>
      )}
      {one.version !== null && (
        <>
          {scopes.includes('jobs') && <Latest name={path} />}
          <Section title="Versions">
            <Versions name={path} />
          </Section>
          <Section title="Packages">
            <Packages name={path} />
          </Section>
        </>
      )}
    </>
  )
}
