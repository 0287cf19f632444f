import { Page, Tile, Tiles, useWho } from '~/parts'
import classes from './account.module.css'
import { Members } from './members'
import { Password } from './password'
import { Sessions } from './sessions'

/** Who one is, where one is logged in, and who else works in the account. */
export default function Account() {
  const who = useWho()
  return (
    <Page title="Account">
      <Tiles>
        <Tile title="Account" value={<span className={`pc-cut ${classes.name}`} title={who.account}>{who.account}</span>} note={who.accounts.length > 1 ? `you belong to ${who.accounts.length}: ${who.accounts.join(', ')}` : undefined} />
        <Tile title="You" value={<span className={`pc-cut ${classes.name}`} title={who.user ?? ''}>{who.user ?? 'nobody by name'}</span>} note={<span className="pc-cut" title={who.email ?? ''}>{who.email || (who.user ? 'no e-mail address' : 'logged in by a link of the account')}</span>} />
        <Tile title="Role" value={<span className={classes.name}>{who.role}</span>} note={who.owner ? 'and owner of this installation' : `may: ${who.scopes.join(', ')}`} />
      </Tiles>
      <Password />
      <Sessions />
      {(who.scopes.includes('admin') || who.scopes.includes('read')) && <Members />}
    </Page>
  )
}
